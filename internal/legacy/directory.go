package legacy

import (
	"context"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/store"
	original "github.com/df-middleware/dfm/internal/store/legacy"
)

// agents imports who calls and texts. The original found users by a part of their
// name, so two agents may have the same one: then neither keeps it.
func (r *run) agents(ctx context.Context, t *Table) error {
	return r.Source.Agents(ctx, batchSize, func(rows []original.Agent) error {
		return r.batch(ctx, t, len(rows), func(tx store.Tx, c *tally) error {
			for _, a := range rows {
				agent := store.Agent{
					Key: strings.TrimSpace(a.Key), DisplayName: a.Name, GHLOwnerID: realID(a.GHLOwnerID), GHLOwnerEmail: strings.TrimSpace(a.GHLOwnerEmail),
					GHLFieldValue: a.GHLFieldValue, RequiredTag: a.RequiredTag, AlowareUserID: realID(a.AlowareUserID), Active: a.Active,
				}
				if agent.Key == "" {
					c.refuse("it has no key", "")
					continue
				}
				if agent.GHLOwnerID != "" && a.OwnerTwins > 1 {
					c.remark("another agent has the same user at GHL, which was left out", printable(agent.Key))
					agent.GHLOwnerID = ""
				}
				if agent.AlowareUserID != "" && a.UserTwins > 1 {
					c.remark("another agent has the same user at Aloware, which was left out", printable(agent.Key))
					agent.AlowareUserID = ""
				}
				added, err := store.AddAgent(ctx, tx, agent, r.Clock())
				if err != nil {
					return err
				}
				c.add(added)
			}
			return nil
		})
	})
}

// lists imports which list at Aloware is an agent's.
func (r *run) lists(ctx context.Context, t *Table) error {
	return r.Source.Lists(ctx, batchSize, func(rows []original.List) error {
		return r.batch(ctx, t, len(rows), func(tx store.Tx, c *tally) error {
			for _, l := range rows {
				list := store.CallList{AgentKey: strings.TrimSpace(l.AgentKey), ListKey: strings.TrimSpace(l.ListKey),
					AlowareID: realID(l.AlowareID), Name: strings.TrimSpace(l.Name), UpdatedAt: r.Clock()}
				if list.AgentKey == "" || list.ListKey == "" || list.Name == "" {
					c.refuse("it lacks its agent, key or name", printable(l.AgentKey+"/"+l.ListKey))
					continue
				}
				added, err := store.AddCallList(ctx, tx, list)
				if err != nil {
					return err
				}
				c.add(added)
			}
			return nil
		})
	})
}

// memberships imports who the original believed to be on which list. The lists
// room takes them for what Aloware has until it has written there itself.
func (r *run) memberships(ctx context.Context, t *Table) error {
	return r.Source.Memberships(ctx, batchSize, func(rows []original.Membership) error {
		return r.batch(ctx, t, len(rows), func(tx store.Tx, c *tally) error {
			for _, m := range rows {
				member := store.ListMember{ContactID: realID(m.ContactID), AgentKey: strings.TrimSpace(m.AgentKey),
					ListKey: strings.TrimSpace(m.ListKey), Active: m.Status == "active", Reason: m.Reason, UpdatedAt: r.since(m.UpdatedAt)}
				if member.ContactID == "" || member.AgentKey == "" || member.ListKey == "" {
					c.refuse("it lacks its contact, agent or list", printable(m.ContactID))
					continue
				}
				added, err := store.AddListMember(ctx, tx, member)
				if err != nil {
					return err
				}
				c.add(added)
			}
			return nil
		})
	})
}

// agentStates imports whose contact it was.
func (r *run) agentStates(ctx context.Context, t *Table) error {
	return r.Source.AgentStates(ctx, batchSize, func(rows []original.AgentState) error {
		return r.batch(ctx, t, len(rows), func(tx store.Tx, c *tally) error {
			for _, a := range rows {
				state := store.AgentState{ContactID: realID(a.ContactID), AgentKey: strings.TrimSpace(a.AgentKey), ListStatus: a.ListStatus}
				if state.ContactID == "" || state.AgentKey == "" {
					c.refuse("it lacks its contact or agent", printable(a.ContactID))
					continue
				}
				added, err := store.AddAgentState(ctx, tx, state, r.since(a.UpdatedAt))
				if err != nil {
					return err
				}
				c.add(added)
			}
			return nil
		})
	})
}

// tokens imports the installations of the Marketplace app, sealed. A location
// that is installed here keeps its tokens: they are newer, and GHL takes a
// refresh token back once it was used.
func (r *run) tokens(ctx context.Context, t *Table) error {
	return r.Source.Tokens(ctx, batchSize, func(rows []original.Token) error {
		return r.batch(ctx, t, len(rows), func(tx store.Tx, c *tally) error {
			for _, o := range rows {
				location := realID(o.LocationID)
				switch {
				case location == "" || !o.Access.Set():
					c.refuse("it lacks its location or its token", printable(location))
					continue
				case r.Seal == nil:
					c.refuse("DF_ENCRYPTION_KEY is not set", printable(location))
					continue
				}
				access, refresh, err := r.Seal(location, o.Access, o.Refresh)
				if err != nil {
					return err
				}
				added, err := store.AddOAuthToken(ctx, tx, store.OAuthToken{LocationID: location, UserType: "Location", Scope: o.Scope,
					AccessToken: access, RefreshToken: refresh, ExpiresAt: r.since(o.ExpiresAt), CreatedAt: r.since(o.CreatedAt)}, r.Clock())
				if err != nil {
					return err
				}
				c.add(added)
			}
			return nil
		})
	})
}

// since returns the time, or now for one that is not known.
func (r *run) since(at time.Time) time.Time {
	if at.IsZero() {
		return r.Clock()
	}
	return at
}
