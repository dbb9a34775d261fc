package postgres

import (
	"sort"
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies"
)

// settings are the startup parameters that go on to the database. Each is decided like a SET of the same name, so that
// a startup packet can do no more than a statement.
func (s *Server) settings(h *hello, a *guard.Admission) (map[string]string, error) {
	out := map[string]string{}
	if err := addSettings(h.parameters, out, 0); err != nil {
		return nil, err
	}
	return out, s.decideSettings(out, a)
}

const hintSearchPath = "Name schemas in your statements."

// maxNested is how often options may stand within options.
const maxNested = 4

// addSettings adds startup parameters to those that go on. What stands in options is a parameter like any other, options
// in it included: a server reads a startup packet that way.
func addSettings(parameters, out map[string]string, nested int) error {
	for name, value := range parameters {
		switch strings.ToLower(name) {
		case "user", "database", "application_name":
			// Labels: the role comes from the credential, and the database sees Sluice's own name.
		case "client_encoding":
			if nested > 0 {
				out[name] = value // decided as a SET of it
				continue
			}
			if !isUTF8(value) {
				return fatalf("22023", "client_encoding %q is not supported", value).hint("Use UTF8.")
			}
		case "replication":
			if off := strings.ToLower(value); off != "false" && off != "off" && off != "no" && off != "0" {
				return fatalf(codeUnsupported, "replication connections are not supported by Sluice").
					hint("Connect without replication, or to the database itself if you may.")
			}
		case "options":
			if nested >= maxNested {
				return fatalf(codeTooLarge, "the startup parameter options stands within itself more than %d times", maxNested).hint("Use -c name=value.")
			}
			given := map[string]string{}
			if err := parseOptions(value, given); err != nil {
				return err
			}
			if err := addSettings(given, out, nested+1); err != nil {
				return err
			}
		default:
			out[name] = value
		}
	}
	return nil
}

func isUTF8(encoding string) bool {
	e := strings.ToUpper(strings.NewReplacer("-", "", "_", "", "'", "", `"`, "").Replace(encoding))
	return e == "UTF8" || e == "UNICODE" || e == "AUTO"
}

func (s *Server) decideSettings(settings map[string]string, a *guard.Admission) error {
	unbounded, err := s.unbounded(a)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		switch strings.ToLower(name) {
		case "standard_conforming_strings", "client_encoding":
			if v := strings.ToLower(settings[name]); v != "on" && !isUTF8(v) {
				return fatalf(codeUnsupported, "the startup parameter %q cannot be %q", name, settings[name]).
					hint("Sluice reads statements as UTF8 with standard_conforming_strings on.")
			}
		case "search_path":
			if unbounded {
				break
			}
			return fatalf(codeUnsupported, "search_path cannot be changed in a session yet").hint(hintSearchPath)
		}
		op := policies.Operation{Command: "SET", Pairs: []policies.Pair{{Effect: policyv1.Effect_SESSION, Object: strings.ToLower(name)}}}
		v, err := s.o.Guard.Decide(a, []policies.Operation{op}, nil)
		if err != nil {
			return turnedAway(err)
		}
		if v.Verdict != policies.Allow {
			return fatalf(codeForbidden, "the startup parameter %q is not allowed: %s", name, v.Message).hint(v.Hint)
		}
	}
	return nil
}

// unbounded reports whether what statements mean decides nothing for whoever is admitted.
func (s *Server) unbounded(a *guard.Admission) (bool, error) {
	p, err := s.o.Guard.Current()
	if err != nil {
		return false, turnedAway(err)
	}
	who, err := s.o.Guard.Principal(a)
	if err != nil {
		return false, turnedAway(err)
	}
	return p.Unbounded(who, a.Target.GetName()), nil
}

// parseOptions reads the command line of the options parameter: -c name=value and --name=value, a backslash taking the
// next character with it (PostgreSQL, "StartupMessage").
func parseOptions(options string, out map[string]string) error {
	words := splitOptions(options)
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "-c"):
			w = w[2:]
		case strings.HasPrefix(w, "--"):
			w = w[2:]
		default:
			return fatalf(codeUnsupported, "the startup option %q is not supported", w).hint("Use -c name=value.")
		}
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return fatalf("22023", "the startup option %q is not of the form name=value", w).hint("Use -c name=value.")
		}
		out[strings.ReplaceAll(name, "-", "_")] = value
	}
	return nil
}

func splitOptions(s string) (words []string) {
	var word strings.Builder
	inside := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			inside = true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f':
			if inside {
				words = append(words, word.String())
				word.Reset()
				inside = false
			}
		default:
			word.WriteByte(c)
			inside = true
		}
	}
	if inside {
		words = append(words, word.String())
	}
	return words
}
