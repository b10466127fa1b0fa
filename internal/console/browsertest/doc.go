// Package browsertest looks at pages of the console in a real browser, for the
// tests of every room that has pages. Its files are compiled only with the build
// tag browser, and need Chromium (the environment's CHROMIUM, else "chromium") and
// axe-core, which is fetched from npm once, beside the source tree.
package browsertest
