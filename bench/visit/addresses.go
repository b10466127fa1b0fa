package visit

import (
	"net/url"
	"time"

	"github.com/df-middleware/dfm/bench/crowd"
)

// Pair is a page and what answers the same question in JSON. Either may be empty.
// Of a deep one a page far down the list is asked for, whose cursor the twin
// leads to.
type Pair struct {
	Page, Twin string
	Deep       bool
}

// query is a query string.
func query(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return "?" + values.Encode()
}

// Pairs are all addresses that are asked for.
func Pairs(at crowd.Landmarks) []Pair {
	var all []Pair
	for _, some := range [][]Pair{events(at), people(at), ledgers(at), lists(at), consent(at), system(at)} {
		all = append(all, some...)
	}
	return all
}

// both are a list and its twin, with each of the queries.
func both(page, twin string, queries ...string) []Pair {
	pairs := []Pair{{page, twin, false}, {page, twin, true}}
	for _, q := range queries {
		pairs = append(pairs, Pair{page + q, twin + q, false})
	}
	return pairs
}

func events(at crowd.Landmarks) []Pair {
	day := query("from", at.Middle.Format(time.RFC3339), "to", at.Middle.Add(24*time.Hour).Format(time.RFC3339))
	pairs := both("/events", "/api/admin/events", query("status", "done"), query("status", "skipped"), query("status", "quarantined"), query("status", "error"),
		query("status", "pending"), query("status", "processing"), query("source", "ghl"), query("source", "broadcast"), query("type", "ContactUpdate"),
		query("type", "contact.created"), query("type", "NoSuchType"), query("person", at.Person), query("person", at.Quiet), query("person", at.Phone),
		query("entityId", at.PersonGHL), query("entityId", at.Event), query("entityId", "nobody"), day,
		query("source", "broadcast", "status", "quarantined"), query("source", "texting", "status", "skipped", "type", "message.sent"),
		query("source", "aloware", "from", at.Middle.Format(time.RFC3339), "to", at.Middle.Add(24*time.Hour).Format(time.RFC3339)),
		query("q", "estimate"), query("q", at.Email), query("q", "nowhere to be found"), query("q", "nowhere to be found", "source", "broadcast"))
	one, twin := "/events/"+at.Event, "/api/admin/events/"+at.Event
	return append(pairs,
		Pair{"", "/api/admin/events/counts", false}, Pair{one, twin, false}, Pair{one + "/replay", "", false},
		Pair{"/events/compare" + query("a", at.Event, "b", at.Other), "", false},
		Pair{"/events/bulk" + query("action", "release", "status", "quarantined"), "", false}, Pair{"/events/bulk" + query("action", "mark-done", "person", at.Person), "", false},
		Pair{"/replays", "/api/admin/replays", false}, Pair{"/replays" + query("status", "quarantined"), "", false},
		Pair{"/replays" + query("entityId", at.PersonGHL), "", false})
}

func people(at crowd.Landmarks) []Pair {
	searches := []string{query("q", at.Phone), query("q", at.Email), query("q", at.PersonGHL), query("q", at.PersonAloware), query("q", at.Person),
		query("q", "castillo"), query("q", "ana castillo"), query("q", "nowhere to be found"), query("q", "9999")}
	pairs := both("/people", "/api/admin/people", append(searches, query("phone", at.Phone), query("ghlContactId", at.PersonGHL))...)
	pairs = append(pairs, both("/mappings", "/api/admin/mappings", searches...)...)
	for _, id := range []string{at.Person, at.Quiet} {
		pairs = append(pairs, Pair{"/people/" + id, "/api/admin/people/" + id, false}, Pair{"", "/api/admin/people/" + id + "/timeline", false},
			Pair{"", "/api/admin/people/" + id + "/timeline", true}, Pair{"", "/api/admin/people/" + id + "/timeline" + query("kind", "event"), false},
			Pair{"/people/" + id + "/why", "/api/admin/people/" + id + "/why" + query("question", "texted"), false},
			Pair{"/people/" + id + "/lists", "/api/admin/lists/people/" + id, false}, Pair{"/mappings/split" + query("person", id), "", false})
	}
	return append(pairs, Pair{"/mappings/merge" + query("keep", at.Person, "end", at.Quiet), "", false},
		Pair{"/mappings" + query("view", "changes"), "/api/admin/mappings/changes", false},
		Pair{"/mappings" + query("view", "questions"), "/api/admin/mappings/reviews", false})
}

func ledgers(at crowd.Landmarks) []Pair {
	pairs := both("/sync-log", "/api/admin/sync-log", query("status", "error"), query("status", "skipped"), query("status", "success"), query("direction", "texting_to_ghl"),
		query("direction", "verity_to_ghl"), query("direction", "aloware_to_ghl", "status", "error"), query("entityId", at.PersonGHL), query("entityId", "nobody"),
		query("personId", at.Person), query("correlationId", at.Event), query("personId", at.Quiet, "status", "error"))
	pairs = append(pairs, both("/conflicts", "/api/admin/conflicts", query("personId", at.Person), query("state", "open"), query("state", "applied"),
		query("field", at.Drifting, "state", "open"), query("field", "nothing"), query("chosen", "aloware", "state", "open"))...)
	pairs = append(pairs, Pair{"/conflicts/" + at.Conflict, "/api/admin/conflicts/" + at.Conflict, false}, Pair{"/conflicts/" + at.Conflict + "/resolve" + query("choice", "keep"), "", false},
		Pair{"/conflicts/bulk" + query("which", "all", "field", at.Drifting), "", false})
	pairs = append(pairs, both("/issues", "/api/admin/issues")...)
	pairs = append(pairs, both("/audit", "/api/admin/audit")...)
	pairs = append(pairs, both("/messages", "/api/admin/calls", query("personId", at.Person), query("phone", at.Phone), query("phone", "+15005550999"))...)
	texts := func(more ...string) Pair {
		return Pair{"/messages" + query(append([]string{"show", "texts"}, more...)...), "/api/admin/messages" + query(more...), false}
	}
	pairs = append(pairs, texts(), Pair{"", "/api/admin/messages", true}, texts("personId", at.Person), texts("phone", at.Phone), texts("phone", "+15005550999"), texts("phone", "+15005550199"))
	return append(pairs, Pair{"/calls/" + at.Call, "/api/admin/calls/" + at.Call, false})
}

func lists(at crowd.Landmarks) []Pair {
	list := "/lists/" + at.Agent + "/" + at.List
	return []Pair{
		{"/lists", "/api/admin/lists", false}, {list, "/api/admin/lists/status", false}, {list + "/delete", "", false},
		{"/lists/rules", "/api/admin/lists/rules", false}, {"/lists/rebuild", "", false},
		{"/lists/runs", "/api/admin/lists/runs", false}, {"/lists/runs/" + at.Run, "", false},
		{"/agents", "/api/admin/agents", false}, {"/agents/" + at.Agent, "", false},
	}
}

func consent(at crowd.Landmarks) []Pair {
	pairs := both("/opt-outs", "/api/admin/optouts", query("q", at.OptOutPhone), query("q", at.OptOutPhone[2:]), query("q", at.OptOutPhone[len(at.OptOutPhone)-4:]), query("q", "operator"), query("q", "please stop"),
		query("q", "nowhere to be found"), query("status", "opted_in"), query("status", "opted_out", "q", "nowhere to be found"), query("phone", at.OptOutPhone))
	return append(pairs, Pair{"/opt-outs/" + at.OptOut, "", false}, Pair{"", "/api/admin/optouts/incidents", false}, Pair{"", "/api/admin/optouts/reviews", false},
		Pair{"", "/api/admin/optouts/targets", false}, Pair{"", "/api/admin/optouts/targets", true}, Pair{"", "/api/admin/optouts/targets" + query("open", "true"), false},
		Pair{"", "/api/admin/optouts/evidence" + query("phone", at.OptOutPhone), false})
}

func system(at crowd.Landmarks) []Pair {
	pairs := append(both("/drift/people", "/api/admin/drift/people", query("reason", "unexplained"), query("reason", "blocked"), query("kind", "field", "field", at.Drifting)),
		both("/appointments", "/api/admin/appointments", query("status", "no-show"), query("personId", at.Person))...)
	pairs = append(pairs, both("/broadcasts", "/api/admin/broadcasts")...)
	pairs = append(pairs, both("/forwards", "/api/admin/forwards", query("status", "given_up"), query("status", "done"))...)
	pairs = append(pairs, both("/alerts", "/api/admin/alerts", query("state", "resolved"), query("rule", "backlog"))...)
	return append(pairs,
		Pair{"/", "", false}, Pair{"/" + query("over", "day"), "", false}, Pair{"/" + query("over", "week"), "", false},
		Pair{"/drift", "/api/admin/drift", false}, Pair{"", "/api/admin/reconcile-runs", false}, Pair{"", "/api/admin/reconcile-runs", true},
		Pair{"", "/api/admin/opportunities", false}, Pair{"", "/api/admin/broadcasts/" + at.Broadcast, false}, Pair{"", "/api/admin/alerts/" + at.Alert, false},
		Pair{"/jobs", "/api/admin/lanes", false}, Pair{"/jobs/river/", "/jobs/river/api/states", false}, Pair{"", "/jobs/river/api/queues?limit=20", false},
		Pair{"", "/jobs/river/api/jobs?state=completed&limit=20", false}, Pair{"", "/jobs/river/api/jobs?state=discarded&limit=20", false},
		Pair{"/connections", "/api/admin/verify-connections", false}, Pair{"/settings", "", false},
		Pair{"/keys", "/api/admin/keys", false}, Pair{"/users", "/api/admin/users", false}, Pair{"/tools", "/api/openapi.json", false},
		Pair{"/tools/clients", "", false}, Pair{"", "/api/metrics", false}, Pair{"", "/ready", false})
}
