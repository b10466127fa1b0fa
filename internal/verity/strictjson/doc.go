// Package strictjson reads JSON from people we do not trust without changing a
// byte of what they sent. Check refuses what two parsers could read in two ways
// (a key given twice, text that is not UTF-8, trailing data) and what exhausts
// a parser (deep nesting). Members and Elements then walk the checked bytes and
// hand out the values as they stand, so that large numbers stay exact and a
// 13 MB document is held once.
package strictjson
