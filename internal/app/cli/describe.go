package cli

import (
	"flag"
	"regexp"
	"strings"
)

// described is a command as completions and the manual show it.
type described struct {
	command
	verbs []string // the words of which the first plain argument is one
	flags []flagView
}

type flagView struct {
	name, usage string
	value       string // what it takes, in a word; "" for a switch
	otherwise   string // the default, when it says something
}

// describe lists the commands with their verbs and flags, so that what is told
// about them elsewhere cannot differ from what they take.
func describe() []described {
	var all []described
	for _, c := range commands() {
		flags := flag.NewFlagSet("dfm "+c.name, flag.ContinueOnError)
		c.setup(flags)
		d := described{command: c, verbs: verbsOf(c.args)}
		flags.VisitAll(func(f *flag.Flag) {
			value, usage := flag.UnquoteUsage(f)
			view := flagView{name: f.Name, usage: usage, value: value, otherwise: f.DefValue}
			switch f.DefValue {
			case "false", "0", "0s":
				view.otherwise = ""
			}
			d.flags = append(d.flags, view)
		})
		all = append(all, d)
	}
	return all
}

// words are verbs as they stand in front of a command's arguments: up|down.
var words = regexp.MustCompile(`^[a-z-]+(\|[a-z-]+)*$`)

func verbsOf(args string) []string {
	first, _, _ := strings.Cut(args, " ")
	if !words.MatchString(first) {
		return nil
	}
	return strings.Split(first, "|")
}
