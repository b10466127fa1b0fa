package mcp

import (
	"context"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// progress tells a client that a call is alive: with notifications when it gave
// a token for them, and with log messages when it asked for those.
type progress struct {
	ctx   context.Context
	req   *sdk.CallToolRequest
	token any

	mu     sync.Mutex
	count  float64
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// startProgress begins; end has to be called. Without a request there is nobody
// to tell.
func (s *Server) startProgress(ctx context.Context, req *sdk.CallToolRequest) *progress {
	p := &progress{ctx: ctx, req: req, cancel: func() {}}
	if req == nil || req.Session == nil {
		return p
	}
	p.token = req.Params.GetProgressToken()
	ticking, cancel := context.WithCancel(ctx)
	p.cancel = cancel
	p.done.Go(func() {
		ticker := time.NewTicker(s.cfg.Progress)
		defer ticker.Stop()
		for {
			select {
			case <-ticking.Done():
				return
			case <-ticker.C:
				p.say("waiting for Verity")
			}
		}
	})
	return p
}

// say sends a message. A client that does not take it loses only the message.
func (p *progress) say(message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.req == nil || p.req.Session == nil {
		return
	}
	if p.token != nil {
		p.count++
		_ = p.req.Session.NotifyProgress(p.ctx, &sdk.ProgressNotificationParams{
			ProgressToken: p.token, Progress: p.count, Message: message,
		})
	}
	//lint:ignore SA1019 clients of the older revisions ask for log messages; newer ones are sent none
	_ = p.req.Session.Log(p.ctx, &sdk.LoggingMessageParams{Level: "info", Logger: "verity", Data: message})
}

// end stops the ticking and sends the last message.
func (p *progress) end(message string) {
	p.cancel()
	p.done.Wait()
	p.say(message)
}
