package ledger

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vizstop/internal/plain"
)

// HistoryStep is one step in the history of a stop: a call that was answered or got
// lost, or what a list check has shown. Its texts are single lines that are fit to be
// shown.
type HistoryStep struct {
	// N counts the steps of the stop from 1. Where it jumps, steps between have been
	// dropped. Note sets it.
	N         int
	At        time.Time // when the answer was there or was given up, in whole milliseconds; of a call that got lost, when it began
	Call      HistoryCall
	Answer    string // such as "accepted", "ok", "http 503 ModelArts.0107: busy" or "timeout"
	Status    string // of the job, that this answer has told, such as "8 (running)"; "" if it told none
	RequestID string // the API's id of this answer; "" if it gave none
}

// HistoryCall is what a step of the history was.
type HistoryCall string

// The calls of a history.
const (
	HistoryStop   HistoryCall = "stop"   // a stop call
	HistoryDetail HistoryCall = "detail" // a call of the detail endpoint
	HistoryList   HistoryCall = "list"   // a check of the project's list of stopping jobs
)

const (
	// historyKept is how many steps of a stop are kept besides the first one: the newest.
	historyKept = 32
	// Redis keeps a hash compact as long as no value is longer than 64 bytes. So each step
	// is two fields of its own: what a call that went well takes is shorter.
	historyBytes, historyRequestBytes = 96, 64
	historyStatusBytes                = 32 // of historyBytes, at most

	stepsField   = "steps" // how many there were in all
	stepField    = "step:" // and a number: of the first step 0, of the others 1 to historyKept in turn
	requestField = "req:"  // the request id of the step of that number
	// historyMost bounds what is believed of stepsField.
	historyMost = 1 << 30
)

// historyLetters stand for the calls in Redis.
var historyLetters = map[HistoryCall]string{HistoryStop: "s", HistoryDetail: "d", HistoryList: "l"}

// historyFields are the fields of step n, from 1, and of its request id.
func historyFields(n int) (step, request string) {
	slot := "0"
	if n > 1 {
		slot = strconv.Itoa(1 + (n-2)%historyKept)
	}
	return stepField + slot, requestField + slot
}

// Note adds a step to the history. It is saved when s next moves or ends. Of many steps
// the first and the newest 32 stay. Its texts are made fit to be shown, and shortened.
func (s *Stop) Note(h HistoryStep) {
	s.steps++
	step, request := historyFields(s.steps)
	s.setNoted(step, h.encode())
	s.setNoted(request, inBytes(h.RequestID, historyRequestBytes))
}

func (s *Stop) setNoted(name, value string) {
	s.noted = slices.DeleteFunc(s.noted, func(old field) bool { return old.name == name })
	s.noted = append(s.noted, field{name, value})
}

// History is what was done for s and what came of it, in the order of noting: up to 33
// steps, the first one and the newest. It is empty for stops that an earlier version has
// ended. What can't be read is left out. It is decoded at each call.
func (s *Stop) History() []HistoryStep {
	value := func(name string) string {
		if i := slices.IndexFunc(s.noted, func(f field) bool { return f.name == name }); i >= 0 {
			return s.noted[i].value
		}
		return s.saved[name]
	}
	var all []HistoryStep
	for n := 1; n <= s.steps; n++ {
		if n == 2 {
			n = max(n, s.steps-historyKept+1)
		}
		step, request := historyFields(n)
		if h, ok := decodeStep(value(step)); ok {
			h.N = n
			if id := value(request); len(id) <= historyRequestBytes && plain.Fits(id) {
				h.RequestID = id
			}
			all = append(all, h)
		}
	}
	return all
}

// LostCall notes that the stop call of s that was marked never got an answer, because
// its worker died in it or fell silent, and until when it may yet take effect. Noting it
// again changes nothing.
func (s *Stop) LostCall(till time.Time) {
	if till.After(s.Lost) {
		s.Lost = till
	}
	for _, h := range s.History() {
		if h.Call == HistoryStop && h.At.UnixMilli() == s.Marked.UnixMilli() {
			return
		}
	}
	s.Note(HistoryStep{At: s.Marked, Call: HistoryStop, Answer: "no answer: the worker died in this call"})
}

// encode is the step without its request id as Redis has it: when (ms, to the base 36), a
// space, a letter for the call, the answer and, if there is a status, a tab and the status.
func (h HistoryStep) encode() string {
	status := inBytes(h.Status, historyStatusBytes)
	if status != "" {
		status = "\t" + status
	}
	head := strconv.FormatInt(millis(h.At), 36) + " " + historyLetters[h.Call]
	return head + inBytes(h.Answer, historyBytes-len(head)-len(status)) + status
}

// decodeStep reads what encode wrote; ok is false for anything else.
func decodeStep(text string) (h HistoryStep, ok bool) {
	at, rest, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(at, 36, 64)
	if len(text) > historyBytes || err != nil || ms < 0 || ms > historyLatest || rest == "" {
		return h, false
	}
	for call, letter := range historyLetters {
		if rest[:1] == letter {
			h.Call = call
		}
	}
	h.At = timeOf(ms)
	h.Answer, h.Status, _ = strings.Cut(rest[1:], "\t")
	return h, h.Call != "" && plain.Fits(h.Answer) && plain.Fits(h.Status)
}

// historyLatest is the latest time that is read, in ms: the end of the year 9999, after
// which JSON has no times.
const historyLatest = 253402300799999

// inBytes is s as one line of at most limit bytes, which are at least 3.
func inBytes(s string, limit int) string {
	s = plain.Line(s, limit)
	if len(s) <= limit {
		return s
	}
	cut := limit - len("...")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
