package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints a script for the shell's own completion.
func (c *completionCommand) Run(parser *kong.Kong, s streams) error {
	all := walk(parser.Model.Node, "")
	var script string
	switch c.Shell {
	case "fish":
		script = fish(all)
	case "zsh":
		script = "autoload -U +X bashcompinit && bashcompinit\n" + bash(all)
	default:
		script = bash(all)
	}
	_, err := fmt.Fprint(s.out, script)
	return err
}

// completed is what may follow a command, which its path names: the words from the root on.
type completed struct {
	path  string
	words []string // subcommands, and values of an argument
	flags []*kong.Flag
	file  bool // an argument is a file or a directory: the shell knows them
}

// walk collects what may follow each command.
func walk(n *kong.Node, path string) []completed {
	here := completed{path: path}
	var below []completed
	for _, child := range n.Children {
		if !child.Hidden {
			here.words = append(here.words, child.Name)
			below = append(below, walk(child, strings.TrimSpace(path+" "+child.Name))...)
		}
	}
	nodes := []*kong.Node{n}
	if n.DefaultCmd != nil {
		nodes = append(nodes, n.DefaultCmd) // whose name may be left out
	}
	for _, n := range nodes {
		for _, f := range n.Flags {
			if !f.Hidden {
				here.flags = append(here.flags, f)
			}
		}
	}
	for _, a := range n.Positional {
		if a.Enum != "" {
			here.words = append(here.words, a.EnumSlice()...)
		}
		here.file = here.file || strings.HasPrefix(a.Tag.Type, "existing")
	}
	return append([]completed{here}, below...)
}

// takesValue: a word follows that is no command.
func takesValue(f *kong.Flag) bool { return !f.IsBool() && !f.IsCounter() }

// flagNames are those on a command line: "--output", "-o".
func flagNames(f *kong.Flag) []string {
	out := []string{"--" + f.Name}
	if f.Short != 0 {
		out = append(out, "-"+string(f.Short))
	}
	return out
}

// bash goes by the longest path of words that is a command: what else stands between them are arguments and values.
func bash(all []completed) string {
	var paths, values, words strings.Builder
	for _, c := range all {
		var flags []string
		for _, f := range c.flags {
			flags = append(flags, "--"+f.Name)
			if !takesValue(f) {
				continue
			}
			given := ""
			if f.Enum != "" {
				given = fmt.Sprintf("COMPREPLY=($(compgen -W %q -- \"$cur\")); ", strings.Join(f.EnumSlice(), " "))
			}
			for _, name := range flagNames(f) {
				fmt.Fprintf(&values, "    %q) %sreturn ;;\n", c.path+" "+name, given)
			}
		}
		if c.path != "" {
			fmt.Fprintf(&paths, "%q|", c.path)
		}
		pattern := "*"
		if c.file {
			pattern = "-*"
		}
		fmt.Fprintf(&words, "    %q) case \"$cur\" in %s) COMPREPLY=($(compgen -W %q -- \"$cur\")) ;; esac ;;\n",
			c.path, pattern, strings.Join(append(slices.Clone(c.words), flags...), " "))
	}
	return "_sluice() {\n  local cur prev known next i\n  COMPREPLY=()\n  cur=\"${COMP_WORDS[COMP_CWORD]}\"\n  prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n" +
		"  # --flag=value is three words.\n" +
		"  if [ \"$cur\" = \"=\" ]; then cur=\"\"; elif [ \"$prev\" = \"=\" ]; then prev=\"${COMP_WORDS[COMP_CWORD-2]}\"; fi\n" +
		"  known=\"\"\n  for ((i = 1; i < COMP_CWORD; i++)); do\n    next=\"${known:+$known }${COMP_WORDS[i]}\"\n" +
		"    case \"$next\" in " + strings.TrimSuffix(paths.String(), "|") + ") known=\"$next\" ;; esac\n  done\n" +
		"  case \"$known $prev\" in\n" + values.String() + "  esac\n" +
		"  case \"$known\" in\n" + words.String() + "  esac\n}\ncomplete -o default -F _sluice sluice\n"
}

func fish(all []completed) string {
	var b strings.Builder
	for _, c := range all {
		when := "__fish_use_subcommand"
		if c.path != "" {
			when = "__fish_seen_subcommand_from " + strings.ReplaceAll(c.path, " ", "; and __fish_seen_subcommand_from ")
		}
		if below := subcommands(all, c.path); c.path != "" && len(below) > 0 {
			when += "; and not __fish_seen_subcommand_from " + strings.Join(below, " ")
		}
		for _, w := range c.words {
			fmt.Fprintf(&b, "complete -c sluice -n %q -f -a %s\n", when, w)
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c sluice -n %q -l %s", when, f.Name)
			if f.Short != 0 {
				fmt.Fprintf(&b, " -s %c", f.Short)
			}
			switch {
			case f.Enum != "":
				fmt.Fprintf(&b, " -x -a %q", strings.Join(f.EnumSlice(), " "))
			case takesValue(f):
				b.WriteString(" -r")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func subcommands(all []completed, path string) []string {
	var out []string
	for _, c := range all {
		if name, ok := strings.CutPrefix(c.path, path+" "); ok && !strings.Contains(name, " ") {
			out = append(out, name)
		}
	}
	return out
}
