package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/egress"
)

// checkDatabase writes something: a disk that is full can still be read.
func (a *App) checkDatabase(ctx context.Context) (string, error) {
	return a.store.Name(), a.store.Ping(ctx)
}

// checkSettings names what is allowed but should not be so in real use. What is
// not allowed does not get here.
func (a *App) checkSettings(context.Context) (string, error) {
	c := a.config
	var found []string
	if !c.AdminSecret.Set() {
		found = append(found, "DF_ADMIN_SECRET is not set, so nobody can use the admin API and the console")
	}
	for source := range c.Unsigned {
		found = append(found, "DFM_ALLOW_UNSIGNED takes webhooks of "+string(source)+" from anybody")
	}
	if c.BaseURL == "" && c.Has(RoleWeb) {
		found = append(found, "BASE_URL is not set, so links to recordings, alerts and OAuth cannot name us")
	}
	if len(c.Proxies) == 0 && !loopback(c.Host) {
		found = append(found, "HOST is open to the network without DFM_TRUSTED_PROXIES: put a proxy with TLS in front and name it there")
	}
	if len(c.OldKeys) > 0 {
		found = append(found, "DF_ENCRYPTION_KEY_PREVIOUS is set: remove it once the check encryption counts nothing under it")
	}
	if _, file := c.DatabaseFile(); file && a.keeper == nil {
		found = append(found, "DFM_BACKUP_DIR is not set, so nobody backs the SQLite file up unless you do")
	}
	if len(found) > 0 {
		return "", caution(strings.Join(found, "; "))
	}
	return fmt.Sprintf("%d were read", len(c.Shown)), nil
}

// checkEncryption seals and opens, and counts what is sealed under which key.
func (a *App) checkEncryption(ctx context.Context) (string, error) {
	const purpose, plain = "doctor", "round trip"
	sealed, err := a.vault.Seal(purpose, []byte(plain))
	if err != nil {
		return "", err
	}
	opened, err := a.vault.Open(purpose, sealed)
	if err != nil || string(opened) != plain {
		return "", errors.Join(errors.New("what was sealed cannot be opened again"), err)
	}
	counts, err := a.store.SealedValues(ctx, auth.SealedBeginning)
	if err != nil {
		if a.store.SchemaReady(ctx) != nil {
			return "seals and opens; nothing is sealed yet", nil
		}
		return "", err
	}
	var now, before, lost int64
	for begins, n := range counts {
		switch known, current := a.vault.Knows(begins); {
		case current:
			now += n
		case known:
			before += n
		default:
			lost += n
		}
	}
	if lost > 0 {
		return "", fmt.Errorf("%d values are sealed under a key that is not in the settings and cannot be read: "+
			"set DF_ENCRYPTION_KEY_PREVIOUS to the key that they were sealed with", lost)
	}
	return fmt.Sprintf("seals and opens; %d values under this key, %d under the previous one", now, before), nil
}

// checkBaseURL calls our own public address from here, where senders call it from
// elsewhere. An address that answers but is not ours is the usual mistake.
func (a *App) checkBaseURL(ctx context.Context) (string, error) {
	base := a.config.BaseURL
	switch {
	case base == "":
		return "", caution("BASE_URL is not set: Twilio signs the address that it posts to, and GHL's OAuth leads back to one")
	case !strings.HasPrefix(base, "https://") && !loopbackURL(base):
		return "", caution(base + " is not https: senders refuse it or send in the clear")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health", nil)
	if err != nil {
		return "", err
	}
	transport := egress.NewTransport()
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", caution(base + " does not answer from here: is dfm serve running, does the proxy lead to its web app, and is the name right? (Some networks do not let a machine reach itself by its public name.)")
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"uptimeSeconds"`) {
		return "", caution(fmt.Sprintf("%s/health answers %d, and not as dfm's web app does: the proxy leads elsewhere", base, response.StatusCode))
	}
	return base + " leads to a web app of dfm", nil
}

func loopbackURL(url string) bool {
	host, _, err := net.SplitHostPort(hostPort(url))
	return err == nil && loopback(host)
}

// Below these, a disk is said to be filling, and to be full.
const (
	diskLow  = 1 << 30
	diskFull = 64 << 20
)

// checkDisk looks at the room where the database and deliveries are written.
func (a *App) checkDisk(context.Context) (string, error) {
	var folders []string
	if path, file := a.config.DatabaseFile(); file {
		folders = append(folders, filepath.Dir(path))
	}
	if a.config.Has(RoleWeb) {
		folders = append(folders, a.config.SpillFolder)
	}
	if a.keeper != nil {
		folders = append(folders, a.keeper.Folder)
	}
	var said []string
	least := int64(-1)
	for _, folder := range folders {
		free, err := freeBytes(folder)
		if err != nil {
			return "", fmt.Errorf("look at the disk of %s: %w", folder, err)
		}
		said = append(said, fmt.Sprintf("%s has %d MiB free", folder, free>>20))
		if least < 0 || free < least {
			least = free
		}
	}
	message := strings.Join(said, ", ")
	switch {
	case least >= 0 && least < diskFull:
		return "", errors.New(message + ": webhooks will soon be refused; make room")
	case least >= 0 && least < diskLow:
		return "", caution(message + ": make room")
	}
	return message, nil
}

// checkSpill counts the deliveries that wait in files.
func (a *App) checkSpill(context.Context) (string, error) {
	unreadable, err := filepath.Glob(filepath.Join(a.config.SpillFolder, "*.unreadable"))
	if err != nil {
		return "", err
	}
	waiting := a.spill.Waiting()
	switch {
	case len(unreadable) > 0:
		return "", caution(fmt.Sprintf("%d files in %s cannot be read: look at them, and remove or mend them", len(unreadable), a.config.SpillFolder))
	case waiting > 0:
		return "", caution(fmt.Sprintf("%d deliveries wait in files for the database; dfm serve takes them in by itself", waiting))
	}
	return "no delivery waits in a file", nil
}

func (a *App) checkBackup(context.Context) (string, error) {
	kept, err := a.keeper.List()
	if err != nil {
		return "", err
	}
	if len(kept) == 0 {
		return "", caution("there is no backup yet in " + a.keeper.Folder + "; dfm serve makes one")
	}
	last := kept[len(kept)-1]
	age := a.clock().Sub(last.At)
	message := fmt.Sprintf("%d backups in %s, the last %s with %d bytes", len(kept), a.keeper.Folder, shownTime(last.At), last.Bytes)
	if age > a.keeper.Every+30*time.Minute {
		return "", caution(message + "; one is overdue, and the log of dfm serve says why")
	}
	return message, nil
}
