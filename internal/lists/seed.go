package lists

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// User is a user of one of the systems.
type User struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Seed says what the users of both systems mean for the directory.
type Seed struct {
	Create []Agent
	Update []Agent // agents of the directory with ids that they lacked
	// Same are the keys of agents that are as they should be.
	Same []string
	// Doubts are people about whom a guess would be needed, so none is made.
	Doubts []Doubt
	// Alone are users whom only one system has.
	Alone []Lone
}

// Doubt is one e-mail address that may mean several people.
type Doubt struct {
	Email   string   `json:"email"`
	Why     string   `json:"why"`
	GHL     []User   `json:"ghl"`
	Aloware []User   `json:"aloware"`
	Agents  []string `json:"agents"` // keys of agents that it may be
}

// Lone is a user whom only one system has.
type Lone struct {
	Side string `json:"side"` // ghl or aloware
	User
}

// Match joins the users of both systems by e-mail and nothing else: two users are
// one person if their addresses are the same but for case, and no other user has
// it. The original compared parts of names, and "Ann" was found in "Joanne". An
// agent that has an id keeps it.
func Match(directory []Agent, ghl, aloware []User) Seed {
	s := Seed{Create: []Agent{}, Update: []Agent{}, Same: []string{}, Doubts: []Doubt{}, Alone: []Lone{}}
	mails := map[string]*Doubt{}
	at := func(email string) *Doubt {
		if mails[email] == nil {
			mails[email] = &Doubt{Email: email, GHL: []User{}, Aloware: []User{}, Agents: []string{}}
		}
		return mails[email]
	}
	for _, u := range ghl {
		if mail := mailKey(u.Email); mail != "" {
			at(mail).GHL = append(at(mail).GHL, u)
		} else {
			s.Alone = append(s.Alone, Lone{"ghl", u})
		}
	}
	for _, u := range aloware {
		if mail := mailKey(u.Email); mail != "" {
			at(mail).Aloware = append(at(mail).Aloware, u)
		} else {
			s.Alone = append(s.Alone, Lone{"aloware", u})
		}
	}
	taken := map[string]bool{}
	for _, a := range directory {
		taken[a.Key] = true
	}
	for _, mail := range sorted(mails) {
		s.settle(*mails[mail], directory, taken)
	}
	slices.SortFunc(s.Alone, func(a, b Lone) int { return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.ID, b.ID)) })
	return s
}

func sorted(mails map[string]*Doubt) []string {
	keys := make([]string, 0, len(mails))
	for mail := range mails {
		keys = append(keys, mail)
	}
	slices.Sort(keys)
	return keys
}

func mailKey(email string) string {
	email = strings.ToLower(strings.TrimSpace(email))
	if !strings.Contains(email, "@") {
		return ""
	}
	return email
}

// settle decides one address.
func (s *Seed) settle(d Doubt, directory []Agent, taken map[string]bool) {
	doubt := func(why string) {
		d.Why = why
		s.Doubts = append(s.Doubts, d)
	}
	switch {
	case len(d.GHL) > 1 || len(d.Aloware) > 1:
		doubt("several users have this address; change it in one of the systems, or enter the ids by hand")
		return
	case len(d.Aloware) == 0:
		s.Alone = append(s.Alone, Lone{"ghl", d.GHL[0]})
		return
	case len(d.GHL) == 0:
		s.Alone = append(s.Alone, Lone{"aloware", d.Aloware[0]})
		return
	}
	g, a := d.GHL[0], d.Aloware[0]
	var known []Agent
	for _, agent := range directory {
		if agent.GHLUserID == g.ID || agent.AlowareUserID == a.ID || mailKey(agent.GHLEmail) == d.Email {
			known, d.Agents = append(known, agent), append(d.Agents, agent.Key)
		}
	}
	switch {
	case len(known) > 1:
		doubt("several agents of the directory have one of these users; leave one of them")
	case len(known) == 1:
		s.complete(known[0], g, a, d.Email, doubt)
	default:
		key := agentKey(g.Name, d.Email)
		if taken[key] {
			doubt("there is an agent " + key + " already who is somebody else; add this one by hand under another key")
			return
		}
		taken[key] = true
		s.Create = append(s.Create, Agent{Key: key, Name: firstText(g.Name, a.Name, key), GHLUserID: g.ID, GHLEmail: d.Email,
			RequiredTag: "Owner: " + firstText(g.Name, a.Name, key), AlowareUserID: a.ID, Active: true})
	}
}

// complete gives an agent the ids that it lacks.
func (s *Seed) complete(agent Agent, g, a User, email string, doubt func(string)) {
	if agent.GHLUserID != "" && agent.GHLUserID != g.ID || agent.AlowareUserID != "" && agent.AlowareUserID != a.ID {
		doubt("the agent " + agent.Key + " has another user's id; correct it by hand")
		return
	}
	before := agent
	agent.GHLUserID, agent.AlowareUserID = g.ID, a.ID
	if agent.GHLEmail == "" {
		agent.GHLEmail = email
	}
	if agent == before {
		s.Same = append(s.Same, agent.Key)
		return
	}
	s.Update = append(s.Update, agent)
}

// agentKey makes a key of a name: "Dana Reyes" is DANA_REYES.
func agentKey(name, email string) string {
	local, _, _ := strings.Cut(email, "@")
	parts := strings.FieldsFunc(strings.ToUpper(firstText(strings.TrimSpace(name), local)), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	key := strings.Join(parts, "_")
	for len(key) > 64 || len(key) > 0 && strings.HasSuffix(key, "_") {
		runes := []rune(key)
		key = string(runes[:len(runes)-1])
	}
	return firstText(key, "AGENT")
}
