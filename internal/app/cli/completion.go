package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
)

// shells are those that completions can be made for.
var shells = map[string]func(w io.Writer, all []described){
	"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion, "powershell": powershellCompletion,
}

func completionCommand() command {
	return command{
		name: "completion", args: "bash|zsh|fish|powershell", summary: "print a script that completes commands and flags in a shell",
		example: "dfm completion bash > /etc/bash_completion.d/dfm",
		setup: func(*flag.FlagSet) runner {
			return func(_ context.Context, env Environment, args []string) error {
				if len(args) != 1 || shells[args[0]] == nil {
					return usageError("say bash, zsh, fish or powershell")
				}
				var script strings.Builder
				shells[args[0]](&script, describe())
				_, err := io.WriteString(env.Stdout, script.String())
				return err
			}
		},
	}
}

// dashed lists a command's flags as they are typed, help among them.
func (d described) dashed(of func(flagView) bool) []string {
	var typed []string
	for _, f := range d.flags {
		if of(f) {
			typed = append(typed, "--"+f.name)
		}
	}
	return typed
}

func anyFlag(flagView) bool { return true }

func takesValue(f flagView) bool { return f.value != "" }

func names(all []described) []string {
	list := make([]string, len(all))
	for i, d := range all {
		list[i] = d.name
	}
	return list
}

// bashCompletion completes files where nothing else is known.
func bashCompletion(w io.Writer, all []described) {
	fmt.Fprint(w, `# Completion of dfm for bash. Made by: dfm completion bash
_dfm() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verbs= flags= valued= at
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
`)
	fmt.Fprintf(w, "    COMPREPLY=($(compgen -W '%s help' -- \"$word\"))\n    return\n  fi\n", strings.Join(names(all), " "))
	fmt.Fprint(w, "  case ${COMP_WORDS[1]} in\n")
	for _, d := range all {
		fmt.Fprintf(w, "    %s) verbs='%s' flags='%s' valued='%s' ;;\n", d.name, strings.Join(d.verbs, " "),
			strings.Join(append(d.dashed(anyFlag), "--help"), " "), strings.Join(d.dashed(takesValue), " "))
	}
	fmt.Fprintf(w, "    help) verbs='%s' ;;\n  esac\n", strings.Join(names(all), " "))
	fmt.Fprint(w, `  if [[ " $valued " == *" $before "* ]]; then return; fi
  for ((at = 2; at < COMP_CWORD; at++)); do
    if [[ " $valued " == *" ${COMP_WORDS[at-1]} "* ]]; then continue; fi
    if [[ " $verbs " == *" ${COMP_WORDS[at]} "* ]]; then verbs=; fi
  done
  if [[ $word == -* ]]; then verbs=$flags; fi
  COMPREPLY=($(compgen -W "$verbs" -- "$word"))
}
complete -o default -F _dfm dfm
`)
}

// zshCompletion works from a folder of $fpath and when it is sourced.
func zshCompletion(w io.Writer, all []described) {
	fmt.Fprint(w, "#compdef dfm\n# Completion of dfm for zsh. Made by: dfm completion zsh\n_dfm() {\n  local -a commands\n  commands=(\n")
	for _, d := range all {
		fmt.Fprintf(w, "    %s\n", single(d.name+":"+strings.ReplaceAll(d.summary, ":", "\\:")))
	}
	fmt.Fprint(w, "    'help:show help'\n  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"+
		"  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n")
	for _, d := range all {
		fmt.Fprintf(w, "    %s)\n      _arguments '--help[show help]'", d.name)
		for _, f := range d.flags {
			spec := "--" + f.name + "[" + strings.NewReplacer("[", "\\[", "]", "\\]").Replace(f.usage) + "]"
			if f.value != "" {
				spec += ":" + f.value + ":_files"
			}
			fmt.Fprintf(w, " \\\n        %s", single(spec))
		}
		if len(d.verbs) > 0 {
			fmt.Fprintf(w, " \\\n        '1:what:(%s)'", strings.Join(d.verbs, " "))
		}
		fmt.Fprint(w, " \\\n        '*:file:_files'\n      ;;\n")
	}
	fmt.Fprintf(w, "    help) _arguments '1:command:(%s)' ;;\n  esac\n}\n", strings.Join(names(all), " "))
	fmt.Fprint(w, "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _dfm \"$@\"; else compdef _dfm dfm; fi\n")
}

func fishCompletion(w io.Writer, all []described) {
	fmt.Fprint(w, "# Completion of dfm for fish. Made by: dfm completion fish\n")
	for _, d := range all {
		fmt.Fprintf(w, "complete -c dfm -n __fish_use_subcommand -f -a %s -d %s\n", d.name, fishQuoted(d.summary))
	}
	fmt.Fprint(w, "complete -c dfm -n __fish_use_subcommand -f -a help -d 'show help'\n")
	for _, d := range all {
		seen := "'__fish_seen_subcommand_from " + d.name + "'"
		if len(d.verbs) > 0 {
			fmt.Fprintf(w, "complete -c dfm -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s' -f -a '%s'\n",
				d.name, strings.Join(d.verbs, " "), strings.Join(d.verbs, " "))
		}
		for _, f := range d.flags {
			needs := ""
			if f.value != "" {
				needs = " -r"
			}
			fmt.Fprintf(w, "complete -c dfm -n %s -l %s%s -d %s\n", seen, f.name, needs, fishQuoted(f.usage))
		}
		fmt.Fprintf(w, "complete -c dfm -n %s -l help -d 'show help'\n", seen)
	}
	fmt.Fprintf(w, "complete -c dfm -n '__fish_seen_subcommand_from help' -f -a '%s'\n", strings.Join(names(all), " "))
}

func powershellCompletion(w io.Writer, all []described) {
	fmt.Fprint(w, `# Completion of dfm for PowerShell. Made by: dfm completion powershell
Register-ArgumentCompleter -Native -CommandName dfm -ScriptBlock {
  param($word, $ast, $cursor)
  $commands = [ordered]@{
`)
	for _, d := range all {
		candidates := append(append(append([]string{}, d.verbs...), d.dashed(anyFlag)...), "--help")
		fmt.Fprintf(w, "    '%s' = @('%s')\n", d.name, strings.Join(candidates, "', '"))
	}
	fmt.Fprintf(w, "    'help' = @('%s')\n", strings.Join(names(all), "', '"))
	fmt.Fprint(w, `  }
  $typed = @($ast.CommandElements | ForEach-Object { $_.ToString() })
  $candidates = $commands.Keys
  if ($typed.Count -gt 2 -or ($typed.Count -eq 2 -and $word -eq '')) { $candidates = $commands[$typed[1]] }
  $candidates | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`)
}

// single quotes a word for sh-like shells.
func single(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func fishQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
