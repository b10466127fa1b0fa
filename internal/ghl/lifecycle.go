package ghl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Lifecycle acts on an INSTALL or UNINSTALL webhook that was verified and is
// about this app; any other body does nothing. An INSTALL of one of an agency's
// locations gets that location's token by the agency's. An UNINSTALL drops the
// tokens, unless the app was installed again after it was sent: GHL repeats
// webhooks for days.
func (a *App) Lifecycle(ctx context.Context, raw []byte) error {
	notice := Decoder{LocationID: a.location, AppID: a.ID()}.Decode(raw)
	if notice.Skip != "" || notice.Kind != df.KindInstall && notice.Kind != df.KindUninstall {
		return nil
	}
	payload, err := parseObject(raw)
	if err != nil {
		return nil // Decode has said so
	}
	payload = flatten(payload)
	company, location := payload.id("companyId"), payload.id("locationId")
	if notice.Kind == df.KindInstall {
		return a.installed(ctx, company, location)
	}
	return a.uninstalled(ctx, company, location, notice.OccurredAt)
}

// installed gets a token for a location that has none, if its agency has one. A
// location that was installed by itself gets its token by the callback.
func (a *App) installed(ctx context.Context, company, location string) error {
	if company == "" || location == "" {
		return nil
	}
	for id, wanted := range map[string]bool{location: false, company: true} {
		_, err := a.tokens.Token(ctx, id)
		if err != nil && !errors.Is(err, ErrNoToken) {
			return fmt.Errorf("read the token of GHL: %w", err)
		}
		if (err == nil) != wanted {
			return nil
		}
	}
	return a.installFromCompany(ctx, company, location)
}

func (a *App) uninstalled(ctx context.Context, company, location string, sent time.Time) error {
	if location != "" {
		return a.forget(ctx, location, "", sent)
	}
	if company == "" {
		return nil
	}
	if a.location != "" {
		if err := a.forget(ctx, a.location, company, sent); err != nil {
			return err
		}
	}
	return a.forget(ctx, company, company, sent)
}

// forget removes a token that is older than the uninstall and, when a company is
// named, that company's.
func (a *App) forget(ctx context.Context, id, company string, sent time.Time) error {
	err := a.tokens.LockToken(ctx, id, func(_ context.Context, stored Token) (Token, error) {
		newer := !sent.IsZero() && stored.InstalledAt.After(sent)
		if newer || company != "" && stored.CompanyID != company {
			return stored, nil
		}
		return Token{}, nil
	})
	a.drop(id)
	if err != nil {
		return fmt.Errorf("remove the token of GHL: %w", err)
	}
	return nil
}
