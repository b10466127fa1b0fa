package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

func usersCommand() command {
	return command{
		name: "users", args: "list|create|set-password|disable [id or e-mail]", summary: "manage who may sign in at the console",
		example: "dfm users --name \"Dana Fox\" --email dana@example.com --role admin --password-file /run/secrets/dana create",
		setup: func(flags *flag.FlagSet) runner {
			var o userOptions
			flags.StringVar(&o.name, "name", "", "name of the user to create, as the audit log shows it")
			flags.StringVar(&o.email, "email", "", "e-mail of the user to create")
			flags.StringVar(&o.role, "role", "viewer", "viewer, operator or admin")
			flags.StringVar(&o.clerk, "clerk-user-id", "", "id by which Clerk knows the user to create, such as user_2abc")
			flags.StringVar(&o.passwordFile, "password-file", "", "file with the password in its first line; without it the line is read from standard input")
			flags.BoolVar(&o.json, "json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error { return manageUsers(ctx, env, o, args) }
		},
	}
}

type userOptions struct {
	name, email, role, clerk, passwordFile string
	json                                   bool
}

func manageUsers(ctx context.Context, env Environment, o userOptions, args []string) error {
	action, who, ok := verbOf(args, []string{"list", "create"}, []string{"set-password", "disable"})
	if !ok {
		return usageError("say list, create, set-password <id or e-mail> or disable <id or e-mail>; a password is never an argument")
	}
	return withStore(ctx, env, func(db *store.Store) error {
		users := &auth.Users{Store: db, Passwords: auth.NewPasswords(auth.DefaultHashParams(), rand.Reader), Clock: time.Now, NewID: df.IDs(time.Now),
			Addresses: auth.NewBrake(time.Now), Accounts: auth.NewBrake(time.Now)}
		return userAction(auth.WithActor(ctx, "command line"), env, o, users, action, who)
	})
}

func userAction(ctx context.Context, env Environment, o userOptions, users *auth.Users, action, who string) error {
	switch action {
	case "list":
		return listUsers(ctx, env, o, users)
	case "create":
		return createUser(ctx, env, o, users)
	}
	u, err := users.Find(ctx, who)
	if err != nil {
		return err
	}
	off := true
	change := auth.UserChange{Disabled: &off}
	if action == "set-password" {
		password, err := readPassword(env, o)
		if err != nil {
			return err
		}
		change = auth.UserChange{Password: &password}
	}
	u, err = users.Change(ctx, u.ID, change)
	return showUser(env, o, u, err)
}

func createUser(ctx context.Context, env Environment, o userOptions, users *auth.Users) error {
	want := auth.NewUser{Name: o.name, Email: o.email, Role: auth.Role(o.role), ClerkUserID: o.clerk}
	if o.clerk == "" || o.passwordFile != "" { // whoever comes by Clerk needs no password
		var err error
		if want.Password, err = readPassword(env, o); err != nil {
			return err
		}
	}
	u, err := users.Create(ctx, want)
	return showUser(env, o, u, err)
}

// readPassword reads the first line of the file, or of standard input. Nothing is
// asked for: whoever types it sees the cursor wait.
func readPassword(env Environment, o userOptions) (df.Secret, error) {
	source := env.Stdin
	if o.passwordFile != "" {
		file, err := os.Open(o.passwordFile)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		defer func() { _ = file.Close() }()
		source = file
	}
	line, err := bufio.NewReader(io.LimitReader(source, 8<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("there is no password on standard input; give it there or in --password-file")
	}
	return df.Secret(line), nil
}

// userLine is a user as JSON shows him.
type userLine struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Email       string    `json:"email"`
	Role        auth.Role `json:"role"`
	ClerkUserID string    `json:"clerkUserId,omitempty"`
	Disabled    bool      `json:"disabled"`
}

func lineOf(u auth.User) userLine {
	return userLine{u.ID, u.Name, u.Email, u.Role, u.ClerkUserID, u.Disabled()}
}

func showUser(env Environment, o userOptions, u auth.User, err error) error {
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(env.Stdout, lineOf(u))
	}
	state := "may sign in"
	if u.Disabled() {
		state = "may not sign in"
	}
	_, err = fmt.Fprintf(env.Stdout, "id    %s\nname  %s\nrole  %s, %s\n", u.ID, u.Name, u.Role, state)
	return err
}

func listUsers(ctx context.Context, env Environment, o userOptions, users *auth.Users) error {
	list, err := users.List(ctx)
	if err != nil {
		return err
	}
	if o.json {
		lines := make([]userLine, len(list))
		for i, u := range list {
			lines[i] = lineOf(u)
		}
		return printJSON(env.Stdout, lines)
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tE-MAIL\tROLE\tSTATE\tLAST SIGN-IN")
	for _, u := range list {
		state, last := "active", "never"
		if u.Disabled() {
			state = "disabled"
		}
		if !u.SignedInAt.IsZero() {
			last = u.SignedInAt.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", u.ID, u.Name, u.Email, u.Role, state, last)
	}
	return w.Flush()
}
