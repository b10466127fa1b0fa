package console

// Patterns lists the patterns of all pages, for the test that visits them.
func (s *Server) Patterns() []string {
	var patterns []string
	for _, r := range s.book.routes {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}
