package auth

import "slices"

// Role says how much somebody who is signed in at the console may do. Each role
// may do what the one before it may.
type Role string

// The roles, from the least to the most.
const (
	Viewer   Role = "viewer"   // reads every page but those of the administrators
	Operator Role = "operator" // works: replays, resolves, merges, repairs
	Admin    Role = "admin"    // also keys, users, settings
)

// Roles lists all roles, the least first.
func Roles() []Role { return []Role{Viewer, Operator, Admin} }

// Allows reports whether the role may do what needs the other one. An unknown
// role may do nothing.
func (r Role) Allows(needs Role) bool {
	has := slices.Index(Roles(), r)
	return has >= 0 && has >= slices.Index(Roles(), needs) && slices.Contains(Roles(), needs)
}
