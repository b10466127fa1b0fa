package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/df-middleware/dfm/internal/app"
)

func manCommand() command {
	return command{
		name: "man", summary: "print the manual page", example: "dfm man | man -l -",
		setup: func(*flag.FlagSet) runner {
			return func(_ context.Context, env Environment, args []string) error {
				if len(args) > 0 {
					return usageError("man takes no arguments")
				}
				var page strings.Builder
				if err := manual(&page, env.Version, describe()); err != nil {
					return err
				}
				_, err := io.WriteString(env.Stdout, page.String())
				return err
			}
		},
	}
}

// manual writes the page in the macros of man(7). It names no date, so that a
// release is the same bytes whenever it is built.
func manual(w io.Writer, version string, all []described) error {
	fmt.Fprintf(w, ".TH DFM 1 \"\" %s \"User Commands\"\n", roffQuoted("dfm "+version))
	fmt.Fprint(w, ".SH NAME\ndfm \\- keep GoHighLevel, Aloware, a texting system and Verity in agreement\n")
	fmt.Fprint(w, ".SH SYNOPSIS\n.B dfm\n.I command\n[flags] [arguments]\n.SH DESCRIPTION\n")
	fmt.Fprint(w, roff("dfm takes webhooks as hints, reads what each system holds, and writes what differs. "+
		"It makes an opt-out count everywhere, and guards Verity's API. Flags may stand before or behind the arguments.")+"\n")
	fmt.Fprint(w, ".SH COMMANDS\n")
	for _, d := range all {
		manualOf(w, d)
	}
	if err := manualSettings(w); err != nil {
		return err
	}
	fmt.Fprintf(w, ".SH FILES\n.TP\n.I .env\n%s\n.TP\n.I data/dfm.db\n%s\n",
		roff("settings in the working directory, for what the environment does not say"), roff("the database, unless DATABASE_URL names another"))
	fmt.Fprintf(w, ".SH EXIT STATUS\n0 ok, 1 failed, 2 bad usage or settings.\n")
	fmt.Fprint(w, ".SH SIGNALS\n.TP\n.B SIGTERM, SIGINT\nstop in order, within "+app.StopTime.String()+" and DFM_DRAIN\n.TP\n.B SIGHUP\nread Verity's catalogue again\n")
	return nil
}

func manualOf(w io.Writer, d described) {
	synopsis := strings.TrimSpace("dfm " + d.name + " " + d.args)
	fmt.Fprintf(w, ".SS %s\n%s.\n", roffQuoted(synopsis), roff(strings.ToUpper(d.summary[:1])+d.summary[1:]))
	for _, f := range d.flags {
		fmt.Fprintf(w, ".TP\n\\fB%s\\fR", roff("--"+f.name))
		if f.value != "" {
			fmt.Fprintf(w, " \\fI%s\\fR", roff(f.value))
		}
		usage := f.usage
		if f.otherwise != "" {
			usage += " (default " + f.otherwise + ")"
		}
		fmt.Fprintf(w, "\n%s\n", roff(usage))
	}
	fmt.Fprintf(w, ".PP\nExample:\n.PP\n.RS\n%s\n.RE\n", roff(d.example))
}

// manualSettings names every setting with its default. What each means stands
// in docs/operating.md, once.
func manualSettings(w io.Writer) error {
	config, err := app.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	fmt.Fprintf(w, ".SH ENVIRONMENT\n%s\n", roff("Each may be given as NAME_FILE too, which names a file that holds the value. Their meaning is in docs/operating.md; here are their defaults."))
	for _, s := range config.Shown {
		otherwise := s.Value
		if s.Secret || otherwise == "" {
			otherwise = "unset"
		}
		fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(s.Name), roff(otherwise))
	}
	return nil
}

// roff escapes text: hyphens that are typed as such, backslashes, and what would
// be a request at the beginning of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// roffQuoted is text as one argument of a request.
func roffQuoted(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }
