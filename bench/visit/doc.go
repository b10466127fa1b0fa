// Package visit asks for every page of the console and for its twin of the admin
// API, as somebody does who looks for one thing among very many, and says how
// long each took.
package visit
