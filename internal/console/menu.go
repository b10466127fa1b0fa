package console

// menu is every page that the menu can name, in its order. An entry is shown when
// a page is registered at its address and the reader's role may see it, so that a
// page which a build or a setting leaves out leaves no hole.
var menu = []menuGroup{
	{"", []menuItem{{"overview", "/", "Overview", nil}}},
	{"Work", []menuItem{
		{"events", "/events", "Events", func(w waiting) int64 { return w.Quarantined }},
		{"people", "/people", "People", nil},
		{"conflicts", "/conflicts", "Conflicts", nil},
		{"alerts", "/alerts", "Alerts", func(w waiting) int64 { return w.Alerts }},
		{"issues", "/issues", "Issues", func(w waiting) int64 { return w.Issues }},
		{"drift", "/drift", "Drift", nil},
		{"opt-outs", "/opt-outs", "Opt-outs", func(w waiting) int64 { return w.Incidents + w.ConsentReviews }},
	}},
	{"Flow", []menuItem{
		{"messages", "/messages", "Messages and calls", nil},
		{"lists", "/lists", "Lists", nil},
		{"agents", "/agents", "Agents", nil},
		{"broadcasts", "/broadcasts", "Broadcasts", nil},
		{"appointments", "/appointments", "Appointments", nil},
	}},
	{"Record", []menuItem{
		{"sync-log", "/sync-log", "Sync log", nil},
		{"mappings", "/mappings", "Mappings", func(w waiting) int64 { return w.PeopleReviews }},
		{"audit", "/audit", "Audit", nil},
		{"jobs", "/jobs", "Jobs", nil},
	}},
	{"System", []menuItem{
		{"connections", "/connections", "Connections", nil},
		{"tools", "/tools", "API and tools", nil},
		{"chat", "/chat", "Chat", nil},
		{"keys", "/keys", "API keys", nil},
		{"users", "/users", "Users", nil},
		{"settings", "/settings", "Settings", nil},
	}},
}

type menuGroup struct {
	name  string
	items []menuItem
}

type menuItem struct {
	section, link, name string
	badge               func(waiting) int64 // how much waits there for a person; nil for no number
}

// Group is one group of the menu as a page shows it.
type Group struct {
	Name    string
	Entries []entry
}

// entry is one line of the menu.
type entry struct {
	Link, Name string
	Current    bool
	Badge      int64
}

// menuFor returns the menu as the reader sees it. Pages that features added
// under names of their own come last in their group.
func (b *Book) menuFor(role Role, section string, w waiting) []Group {
	var shown []Group
	for _, g := range menu {
		group := Group{Name: g.name}
		for _, item := range append(g.items, b.extra[g.name]...) {
			needs, there := b.see[item.link]
			if !there || !role.Allows(needs) {
				continue
			}
			one := entry{Link: item.link, Name: item.name, Current: item.section == section}
			if item.badge != nil {
				one.Badge = item.badge(w)
			}
			group.Entries = append(group.Entries, one)
		}
		if group.Entries != nil {
			shown = append(shown, group)
		}
	}
	return shown
}
