// Package app wires the rooms together: it reads the settings, builds every part
// once, top to bottom, starts and stops them in order, and knows nothing else.
// It is the only package that sees all the others.
package app
