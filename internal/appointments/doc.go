// Package appointments keeps what GHL tells of appointments and opportunities:
// each with how it stands and how it came to that. GHL promises neither order nor
// that anything is told only once, so a thing is the set of all that was ever
// told of it (item.go), and how it stands follows from the set, ordered by the
// time of the act: the same deliveries make the same history in whatever order
// they come. What is deleted stays deleted.
package appointments
