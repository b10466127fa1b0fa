// Package console is the window: what operators and their scripts see and do.
// Every page has a JSON twin under /api; each noun has a file of its own.
// Nothing here answers without the admin or jobs secret but the two health
// routes.
package console
