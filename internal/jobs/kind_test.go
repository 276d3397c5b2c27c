package jobs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
)

func TestKindsHaveLabels(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if name := k.String(); !label.MatchString(name) || seen[name] {
			t.Errorf("kind %d has the label %q", int(k), name)
		}
		seen[k.String()] = true
	}
	if len(seen) != int(KindCanceled)+1 || Kinds()[0] != KindOK {
		t.Errorf("Kinds() = %v", Kinds())
	}
	if got := Kind(99).String(); got != "kind_99" {
		t.Errorf("an unknown kind is %q", got)
	}
}

func TestKindOf(t *testing.T) {
	refused := &Error{Kind: KindThrottled}
	for _, tt := range []struct {
		err  error
		want Kind
	}{
		{nil, KindOK},
		{refused, KindThrottled},
		{fmt.Errorf("stopping: %w", refused), KindThrottled},
		{errors.Join(errors.New("other"), refused), KindThrottled},
		{fmt.Errorf("waiting: %w", context.Canceled), KindCanceled},
		{context.DeadlineExceeded, KindTimeout},
		{errors.New("other"), KindUnavailable},
	} {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("KindOf(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}
