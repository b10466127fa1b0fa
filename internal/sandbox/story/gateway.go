package story

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Gateway is the story of a service that calls Verity.
func Gateway() []Step {
	return []Step{
		{"A service calls Verity through the gateway", "key and Clerk token are checked, the answer comes back", signedCall},
		{"A stranger signs a token of his own", "it is refused before anything is sent", refusedCall},
		{"Somebody asks for /api/../admin", "a path is judged as the upstream would read it", traversal},
	}
}

type envelope struct {
	Success bool
	Data    json.RawMessage
	Error   struct{ Code string }
}

// verity posts one call to the gateway.
func (s *Stage) verity(ctx context.Context, endpoint, token string) (int, envelope, error) {
	body, err := json.Marshal(map[string]any{
		"endpoint": endpoint, "method": http.MethodGet, "headers": map[string]string{"authorization": "Bearer " + token},
	})
	if err != nil {
		return 0, envelope{}, err
	}
	var answer envelope
	status, err := s.call(ctx, http.MethodPost, s.Server.GatewayURL()+"/api/verity",
		http.Header{"Authorization": {"Bearer " + s.GatewayKey}, "Content-Type": {"application/json"}}, body, &answer)
	return status, answer, err
}

func signedCall(ctx context.Context, s *Stage) (string, error) {
	status, answer, err := s.verity(ctx, "/api/widgets", s.World.Clerk.Token("user_story"))
	if err == nil && (status != http.StatusOK || !answer.Success) {
		err = fmt.Errorf("answered %d %s", status, answer.Error.Code)
	}
	return "200, data in its envelope", err
}

func refusedCall(ctx context.Context, s *Stage) (string, error) {
	forged := s.World.Clerk.MintByStranger(s.World.Clerk.SessionClaims("user_story", "sess_story", time.Hour))
	return s.refused(ctx, "/api/widgets", forged, http.StatusUnauthorized, "INVALID_TOKEN")
}

func traversal(ctx context.Context, s *Stage) (string, error) {
	return s.refused(ctx, "/api/../admin", s.World.Clerk.Token("user_story"), http.StatusBadRequest, "INVALID_ENDPOINT")
}

// refused makes a call that must be refused with the code, and makes sure that
// Verity never heard of it.
func (s *Stage) refused(ctx context.Context, endpoint, token string, want int, code string) (string, error) {
	before := len(s.World.Verity.Requests())
	status, answer, err := s.verity(ctx, endpoint, token)
	switch {
	case err != nil:
		return "", err
	case status != want || answer.Error.Code != code:
		return "", fmt.Errorf("answered %d %s", status, answer.Error.Code)
	case len(s.World.Verity.Requests()) != before:
		return "", fmt.Errorf("%s reached Verity", endpoint)
	}
	return fmt.Sprintf("%d %s, nothing sent", status, code), nil
}
