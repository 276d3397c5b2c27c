package e2e

import (
	"regexp"
	"strings"
	"unicode"
)

// names is what a PromQL expression calls by name.
type names struct {
	selectors []selector
	labels    []string // that it groups or matches by
}

// selector is a metric with what it wants of its labels.
type selector struct {
	metric   string
	matchers []matcher
}

type matcher struct{ label, op, value string }

func (s selector) String() string {
	var parts []string
	for _, m := range s.matchers {
		parts = append(parts, m.label+m.op+`"`+m.value+`"`)
	}
	return s.metric + "{" + strings.Join(parts, ", ") + "}"
}

var (
	wordPattern    = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`)
	numberPattern  = regexp.MustCompile(`^[0-9.][0-9a-zA-Z.]*(e-[0-9]+)?`)
	windowPattern  = regexp.MustCompile(`^\[[^\]]*\]`)
	listPattern    = regexp.MustCompile(`^\s*\(([^)]*)\)`)
	bracesPattern  = regexp.MustCompile(`^\s*\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\}`)
	matcherPattern = regexp.MustCompile(`([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)
	groupedPattern = regexp.MustCompile(`^\s*(by|without)\b`)
	callPattern    = regexp.MustCompile(`^\s*\(`)
)

// namesIn reads an expression that Prometheus has accepted: it finds names, and
// would not find mistakes of grammar.
func namesIn(expr string) (n names) {
	for expr != "" {
		rest := expr
		word := wordPattern.FindString(expr)
		switch {
		case word != "":
			rest = n.word(word, expr[len(word):])
		case unicode.IsDigit(rune(expr[0])):
			rest = expr[len(numberPattern.FindString(expr)):]
		case expr[0] == '[':
			rest = expr[len(windowPattern.FindString(expr)):]
		}
		if len(rest) == len(expr) { // space, an operator, a parenthesis
			rest = expr[1:]
		}
		expr = rest
	}
	return n
}

// word takes a word and what belongs to it, and returns what comes after.
func (n *names) word(word, rest string) string {
	switch word {
	case "by", "without", "on", "ignoring", "group_left", "group_right":
		list := listPattern.FindStringSubmatch(rest)
		if list == nil {
			return rest
		}
		for label := range strings.SplitSeq(list[1], ",") {
			if label = strings.TrimSpace(label); label != "" {
				n.labels = append(n.labels, label)
			}
		}
		return rest[len(list[0]):]
	case "and", "or", "unless", "bool", "offset", "Inf", "NaN":
		return rest
	}
	if callPattern.MatchString(rest) || groupedPattern.MatchString(rest) {
		return rest // a function, an aggregation
	}
	s := selector{metric: word}
	if braces := bracesPattern.FindStringSubmatch(rest); braces != nil {
		for _, m := range matcherPattern.FindAllStringSubmatch(braces[1], -1) {
			s.matchers = append(s.matchers, matcher{m[1], m[2], m[3]})
		}
		rest = rest[len(braces[0]):]
	}
	n.selectors = append(n.selectors, s)
	return rest
}

// demands are selectors each of which must match something if every metric,
// label and value that s names exists: one for every alternative of a regular
// expression, and only the label's presence where a value is to be left out.
func (s selector) demands() []selector {
	all := []selector{{metric: s.metric}}
	for _, m := range s.matchers {
		values := []matcher{m}
		switch {
		case strings.HasPrefix(m.op, "!"):
			values = []matcher{{m.label, "!=", ""}}
		case m.op == "=~" && !strings.ContainsAny(m.value, "()"):
			values = nil
			for v := range strings.SplitSeq(m.value, "|") {
				values = append(values, matcher{m.label, "=~", v})
			}
		}
		var next []selector
		for _, d := range all {
			for _, v := range values {
				next = append(next, selector{d.metric, append(append([]matcher(nil), d.matchers...), v)})
			}
		}
		all = next
	}
	return all
}
