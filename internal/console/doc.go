// Package console is the window: what operators and their scripts see and do.
// Every page has a JSON twin under /api; each noun has a file of its own.
// Nothing here answers without the admin or jobs secret but the two health
// routes.
//
// # How to add a page
//
//  1. In a file page_<noun>.go, write a method of Server that reads what is to be
//     shown and returns view{template: "<noun>.html", title: …, section: …,
//     live: true when it should keep itself fresh, data: …}.
//  2. Write templates/<noun>.html: {{define "content"}}…{{end}}, with the data at
//     .Data. Start with <div class="head"><h1>. What stays fresh stands in an
//     element with an id and the attribute data-fresh.
//  3. Add a line to writePages in pages.go: see for a page, change for what its
//     form posts to (operators), adminSees and adminChanges for administrators.
//     The menu (menu.go) shows the entry once "/<noun>" is a page.
//  4. Lists: FiltersOf and {{template "filters" .Filters}}, a <table class="list">
//     whose cells have a data-label (they become cards on phones), pagerOf and
//     {{template "pager" .Pager}}, and {{template "empty" .Empty}} that says what
//     to do. More parts: tile, tiles, chip, facts, tabs, timeline, chart (parts.go,
//     chart.go). Numbers go through "number", times through "when" and "ago".
//  5. A change that hurts is asked about first: return confirm(section,
//     confirmation{…}), which posts to your change. Every change ends in s.audit and
//     in view{redirect: …, notice: …}. Forms carry
//     <input type="hidden" name="csrf" value="{{$.CSRF}}">, and buttons that not
//     everybody may press stand in {{if $.May "operator"}}.
//  6. Add the page to pagesToSee in pages_test.go: it is then visited in a real
//     browser, at two widths, light and dark, and judged by axe.
//
// A feature in another room does the same with its own templates: it gives a
// func(*Book) to Config.Features, which calls Templates, See, Change and Entry.
package console
