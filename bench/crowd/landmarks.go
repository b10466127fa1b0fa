package crowd

import "time"

// Landmarks are things that are known to be there, for who wants to look at them.
type Landmarks struct {
	Event, Other  string    // ids of two events about the hot person
	Middle        time.Time // between the oldest event and now
	Now           time.Time
	Person        string // the person with the longest history
	PersonGHL     string
	PersonAloware string
	Phone, Email  string
	Quiet         string // a person with next to none
	Call, OptOut  string // ids
	Agent, List   string // keys
	Run, Alert    string // ids
	Broadcast     string
	Drifting      string // a field in which people differ
	OptOutPhone   string
	Conflict      string // an open one
}

// Landmarks names them.
func (c *Crowd) Landmarks() Landmarks {
	p := c.person(hot)
	last := c.Events/200*200 - 200 + 1 // about the hot one
	at := c.ago(c.outs()/2, c.outs(), 365*24*time.Hour)
	alerts := share(c.People, 100, 5)
	return Landmarks{
		Event: identifier("event", max(last, 1), c.when(max(last, 1))), Other: identifier("event", 1, c.when(1)),
		Middle: c.now.Add(-span / 2), Now: c.now,
		Person: p.id, PersonGHL: p.ghl, PersonAloware: p.aloware, Phone: p.phone, Email: p.email, Quiet: c.person(c.People - 2).id,
		Call: "300000001", OptOut: identifier("optout", c.outs()/2, at), OptOutPhone: c.spread(c.outs()/2, c.outs()).phone,
		Agent: agentKey(hot), List: listKeys[0], Run: identifier("list run", 59, c.ago(59, 60, span)),
		Alert: identifier("alert", 0, c.ago(0, alerts, span)), Broadcast: "bc_1", Drifting: "city", Conflict: identifier("conflict", 0, c.ago(0, share(c.People, 5, 3), span)),
	}
}
