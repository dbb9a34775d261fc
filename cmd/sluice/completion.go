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
	tree := map[string][]string{}
	walk(parser.Model.Node, "", tree)
	var script string
	switch c.Shell {
	case "fish":
		script = fish(tree)
	case "zsh":
		script = "autoload -U +X bashcompinit && bashcompinit\n" + bash(tree)
	default:
		script = bash(tree)
	}
	_, err := fmt.Fprint(s.out, script)
	return err
}

// walk collects what may follow each command: subcommands and flags.
func walk(n *kong.Node, path string, tree map[string][]string) {
	var words []string
	for _, child := range n.Children {
		if child.Hidden {
			continue
		}
		words = append(words, child.Name)
		walk(child, strings.TrimSpace(path+" "+child.Name), tree)
	}
	for _, f := range n.Flags {
		words = append(words, "--"+f.Name)
	}
	tree[path] = words
}

func bash(tree map[string][]string) string {
	var b strings.Builder
	b.WriteString("_sluice() {\n  local cur path w\n  cur=\"${COMP_WORDS[COMP_CWORD]}\"\n  path=\"\"\n" +
		"  for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do case \"$w\" in -*) ;; *) path=\"$path $w\" ;; esac; done\n" +
		"  case \"${path# }\" in\n")
	for _, path := range sorted(tree) {
		fmt.Fprintf(&b, "    %q) COMPREPLY=($(compgen -W %q -- \"$cur\")) ;;\n", path, strings.Join(tree[path], " "))
	}
	b.WriteString("  esac\n}\ncomplete -F _sluice sluice\n")
	return b.String()
}

func fish(tree map[string][]string) string {
	var b strings.Builder
	for _, path := range sorted(tree) {
		when := "__fish_use_subcommand"
		if path != "" {
			when = "__fish_seen_subcommand_from " + path
		}
		for _, w := range tree[path] {
			if long, ok := strings.CutPrefix(w, "--"); ok {
				fmt.Fprintf(&b, "complete -c sluice -n %q -l %s\n", when, long)
			} else {
				fmt.Fprintf(&b, "complete -c sluice -n %q -f -a %s\n", when, w)
			}
		}
	}
	return b.String()
}

func sorted(tree map[string][]string) []string {
	out := make([]string, 0, len(tree))
	for k := range tree {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
