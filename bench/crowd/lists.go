package crowd

import (
	"fmt"
	"strings"
)

// agents is how many people sell.
const agents = 20

var listKeys = []string{"CALL_NOW", "NEW_LEADS", "FOLLOW_UP", "HOT"}

func agentKey(i int) string { return fmt.Sprintf("AGENT%02d", i%agents) }

func listID(agent, list int) string { return fmt.Sprint(9000 + agent%agents*4 + list) }

// membership is the list that a person is on; two in five are on none.
func membership(p person) (agent, list int, listed bool) {
	return p.i % agents, int(mix("list", p.i) % 4), p.i%5 < 3
}

func (c *Crowd) listTables() []Table {
	stamps := []string{"created_at", "updated_at"}
	return []Table{
		{"agent_directory", append([]string{"agent_key", "display_name", "ghl_owner_id", "ghl_owner_email", "aloware_user_id", "is_active"}, stamps...), agents, func(i int) []any {
			return []any{agentKey(i), fmt.Sprint("Agent ", i), token("user", i), fmt.Sprintf("agent%d@example.test", i), fmt.Sprint(100 + i), true, c.now, c.now}
		}},
		{"call_list_registry", append([]string{"agent_key", "list_key", "aloware_list_id", "aloware_list_name"}, stamps...), agents * 4, func(i int) []any {
			return []any{agentKey(i / 4), listKeys[i%4], listID(i/4, i%4), "DF_" + agentKey(i/4) + "_" + listKeys[i%4], c.now, c.now}
		}},
		{"list_rules", []string{"version", "rules", "state", "author", "note", "created_at", "decided_at", "decided_by"}, 5, func(i int) []any {
			state := "replaced"
			if i == 4 {
				state = "in_force"
			}
			return []any{i + 1, `{"rules":[{"name":"hot","when":{"tags":["hot"]},"on":["HOT"]}]}`, state, "Dana", "", c.now, c.now, "Dana"}
		}},
		{"list_intents", append([]string{"person_id", "contact_id", "aloware_contact_id", "agent_key", "state", "detail", "facts", "intent", "wanted", "rules_version"}, stamps...), c.People, c.intent},
		{"list_holdings", []string{"aloware_contact_id", "person_id", "lists", "updated_at"}, c.People, func(i int) []any {
			p := c.person(i)
			agent, list, listed := membership(p)
			if !listed || i%97 == 0 {
				return []any{p.aloware, p.id, "[]", c.now}
			}
			return []any{p.aloware, p.id, fmt.Sprintf(`[{"agentKey":%q,"listKey":%q,"listId":%q}]`, agentKey(agent), listKeys[list], listID(agent, list)), c.now}
		}},
		{"contact_list_memberships", append([]string{"contact_id", "agent_key", "list_key", "status", "reason"}, stamps...), c.People, func(i int) []any {
			p := c.person(i)
			agent, list, listed := membership(p)
			status := "removed"
			if listed {
				status = "active"
			}
			return []any{p.ghl, agentKey(agent), listKeys[list], status, "rule hot", c.now, c.now}
		}},
		{"contact_agent_state", append([]string{"contact_id", "agent_key"}, stamps...), c.People, func(i int) []any {
			return []any{c.person(i).ghl, agentKey(i), c.now, c.now}
		}},
		{"list_runs", []string{"id", "kind", "state", "rules_version", "totals", "created_by", "created_at", "decided_by", "decided_at"}, 60, func(i int) []any {
			at := c.ago(i, 60, span)
			return []any{identifier("list run", i, at), "rebuild", "done", 4, `{"people":100,"unchanged":90,"added":4,"moved":6,"removed":0,"listed":60,"limit":25}`, "Dana", at, "Dana", at}
		}},
	}
}

// intent is what the rules said about one person. One in a thousand waits.
func (c *Crowd) intent(i int) []any {
	p := c.person(i)
	agent, list, listed := membership(p)
	state, wanted, key := "settled", "[]", "-"
	if listed {
		wanted = fmt.Sprintf(`[{"agentKey":%q,"listKey":%q,"listId":%q,"rule":"hot"}]`, agentKey(agent), listKeys[list], listID(agent, list))
		key = agentKey(agent) + "/" + listKeys[list] + "=" + listID(agent, list)
	}
	if i%1000 == 7 {
		state = "braked"
	}
	said := strings.Repeat(`{"rule":"new lead","applies":false,"why":"the stage is none of new, open"},`, 3) + `{"rule":"hot","applies":true,"why":"has the tag hot"}`
	return []any{p.id, p.ghl, p.aloware, agentKey(agent), state, "", fmt.Sprintf(`{"tags":%s,"owner":{"assigned":%q}}`, text(p.tags()), agentKey(agent)),
		fmt.Sprintf(`{"agent":{"key":%q,"by":"assignedTo"},"wanted":%s,"said":[%s]}`, agentKey(agent), wanted, said), key, 5, c.now, c.now}
}
