package console

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"vizstop/internal/console/problem"
)

// pace is how fast a body has to come. Time that passes between two reads is the console's own and does not count.
type pace struct {
	pause time.Duration // longest wait for more of it
	grace time.Duration // that it may wait in all, besides the time that rate allows
	rate  int64         // bytes a second
}

func defaultPace() pace { return pace{pause: 10 * time.Second, grace: 10 * time.Second, rate: 1 << 10} }

// bound refuses a body that says it is too long, and has any other end in words.
func (c *Console) bound(a *answer, r *http.Request, rt *route) *problem.Problem {
	if r.Body == nil || r.Body == http.NoBody {
		a.stopReading()
		return nil
	}
	if r.ContentLength > rt.Body {
		return tooLarge(rt.Body)
	}
	until, _ := r.Context().Deadline() // each route has one
	r.Body = &body{ReadCloser: http.MaxBytesReader(a.ResponseWriter, r.Body, rt.Body), answer: a, pace: c.pace, until: until, refused: c.metrics.refuse}
	return nil
}

func tooLarge(most int64) *problem.Problem {
	return problem.New(problem.BodyTooLarge, fmt.Sprintf("A body here has at most %d bytes. Send it in parts.", most))
}

// body reads a request's body as long as it makes progress, and the request has time. Its errors besides io.EOF are
// of type *problem.Problem.
type body struct {
	io.ReadCloser
	answer  *answer
	pace    pace
	until   time.Time // the end of the request's time
	refused func(problem.Type)
	read    int64
	waited  time.Duration
	err     error
}

// Read returns what has come.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	began := time.Now()
	var n int
	err := os.ErrDeadlineExceeded // what has come and lies in a buffer has no deadline
	if began.Before(b.until) {
		_ = b.answer.control.SetReadDeadline(began.Add(min(b.pace.pause, b.pace.allowed(b.read)-b.waited, b.until.Sub(began))))
		n, err = b.ReadCloser.Read(p)
	}
	b.waited += time.Since(began)
	b.read += int64(n)
	if err == nil {
		return n, nil
	}
	b.err = b.ended(err)
	if p, ok := errors.AsType[*problem.Problem](b.err); ok {
		b.refused(p.Type)
	}
	return n, b.err
}

// allowed is how long a body of which so many bytes have come may have been waited for.
func (p pace) allowed(read int64) time.Duration {
	return p.grace + time.Duration(float64(read)/float64(p.rate)*float64(time.Second))
}

func (b *body) ended(err error) error {
	if err == io.EOF {
		b.answer.stopReading()
		return err
	}
	b.answer.Header().Set("Connection", "close") // what else comes is not read
	if limit, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit.Limit)
	}
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if late && !time.Now().Before(b.until) {
		return &problem.Problem{Type: problem.TookTooLong, RetryAfter: time.Second,
			Detail: fmt.Sprintf("The time of the request was over when %d bytes of its body had come. Send it faster, or in parts.", b.read)}
	}
	if late {
		return problem.New(problem.SlowBody, fmt.Sprintf("The body stopped after %d bytes, or came more slowly than %d bytes a second.", b.read, b.pace.rate))
	}
	return problem.New(problem.MalformedBody, fmt.Sprintf("The body was cut after %d bytes.", b.read))
}
