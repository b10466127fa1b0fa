package store

import (
	"context"
	"fmt"
	"strconv"
)

// SealedValues counts the sealed values of all tables by how they begin, which
// names the key that sealed them; length says how long a beginning is.
func (s *Store) SealedValues(ctx context.Context, length int) (map[string]int64, error) {
	counts := map[string]int64{}
	err := s.Each(ctx, `SELECT substr(sealed, 1, `+strconv.Itoa(length)+`), count(*) FROM (
			SELECT access_token AS sealed FROM ghl_oauth_tokens
			UNION ALL SELECT refresh_token FROM ghl_oauth_tokens
			UNION ALL SELECT sealed FROM shared_tokens
			UNION ALL SELECT recording FROM calls) AS all_values
		WHERE sealed IS NOT NULL AND sealed <> '' GROUP BY 1`, nil, func(row Row) error {
		var begins string
		var n int64
		err := row.Scan(&begins, &n)
		counts[begins] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count sealed values: %w", err)
	}
	return counts, nil
}
