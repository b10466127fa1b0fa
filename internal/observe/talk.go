package observe

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// talk is the numbers of the MCP server and the chat. All labels come from
// closed sets: names of tools that a catalogue brings are not among them.
type talk struct {
	mcpCalls   *prometheus.CounterVec
	mcpTime    *prometheus.HistogramVec
	chatTurns  *prometheus.CounterVec
	chatTime   *prometheus.HistogramVec
	chatTokens *prometheus.CounterVec
	chatCost   *prometheus.CounterVec
}

func newTalk() talk {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "dfm", Name: name, Help: help}, labels)
	}
	return talk{
		mcpCalls: counter("mcp_calls_total", "Calls of tools, by kind of tool and result.", "tool", "result"),
		mcpTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "dfm", Name: "mcp_call_seconds",
			Help: "Time of calls of tools.", Buckets: seconds}, []string{"tool"}),
		chatTurns: counter("chat_turns_total", "Answers of the chat, by vendor and why they ended.", "vendor", "reason"),
		chatTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "dfm", Name: "chat_turn_seconds",
			Help: "Time of answers of the chat.", Buckets: []float64{.1, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}}, []string{"vendor"}),
		chatTokens: counter("chat_tokens_total", "Tokens that the chat used.", "vendor", "direction"),
		chatCost:   counter("chat_cost_total", "What the chat cost, in units of the currency of LLM_PRICE_INPUT.", "vendor"),
	}
}

func (t talk) collectors() []prometheus.Collector {
	return []prometheus.Collector{t.mcpCalls, t.mcpTime, t.chatTurns, t.chatTime, t.chatTokens, t.chatCost}
}

// mcpResults are the results that calls of tools are counted by.
var mcpResults = []string{
	"ok", "ASKED", "DECLINED", "REFUSED", "NOT_FOUND", "INVALID_ARGUMENTS", "RATE_LIMITED", "OPTED_OUT", "PROXY_ERROR",
	"CANCELLED", "CONFIRMATION_IMPOSSIBLE", "TOO_LARGE", "INTERNAL",
}

// ToolCall counts one call of a tool. The tool is the name of one of our own, or
// "operation" for those of a catalogue.
func (m *Metrics) ToolCall(tool, result string, took time.Duration) {
	if !slices.Contains(mcpResults, result) {
		result = "upstream_error" // HTTP_404 and the like
	}
	m.talk.mcpCalls.WithLabelValues(tool, result).Inc()
	m.talk.mcpTime.WithLabelValues(tool).Observe(took.Seconds())
}

// ChatTurn counts one answer of the chat.
func (m *Metrics) ChatTurn(vendor, reason string, took time.Duration) {
	m.talk.chatTurns.WithLabelValues(vendor, reason).Inc()
	m.talk.chatTime.WithLabelValues(vendor).Observe(took.Seconds())
}

// ChatTokens counts what a reply cost; the cost is in millionths.
func (m *Metrics) ChatTokens(vendor string, input, output, costMicros int64) {
	m.talk.chatTokens.WithLabelValues(vendor, "input").Add(float64(input))
	m.talk.chatTokens.WithLabelValues(vendor, "output").Add(float64(output))
	m.talk.chatCost.WithLabelValues(vendor).Add(float64(costMicros) / 1e6)
}
