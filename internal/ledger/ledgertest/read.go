package ledgertest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// reader reads the storage of the first version. It fails the test on any error.
type reader struct {
	t   testing.TB
	ctx context.Context
	rdb *redis.Client
}

// read lists what the first version has in a Redis.
func read(t testing.TB, rdb *redis.Client) *Dump {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			if f, is := p.(failure); is {
				t.Fatal(f.error)
			}
			panic(p)
		}
	}()
	r := reader{t, t.Context(), rdb}
	d := &Dump{Tasks: r.tasks(), Rate: ok(rdb.Get(r.ctx, "vizstop:{-}:rate").Result())}
	where := make(map[string]string)
	for _, task := range d.Tasks {
		where[task.ID] = task.State
	}
	projects := ok(rdb.SMembers(r.ctx, "vizstop:projects").Result())
	slices.Sort(projects)
	for _, id := range projects {
		d.Projects = append(d.Projects, r.project(id))
		batches := r.batches(id)
		d.Batches = append(d.Batches, batches...)
		for _, b := range batches {
			for _, stop := range b.Stops {
				s := r.stop(id, stop)
				s.InQueue = where[fmt.Sprintf("%s:%s:%d", s.Kind, s.ID, s.Hop)]
				d.Stops = append(d.Stops, s)
			}
		}
	}
	for _, z := range ok(rdb.ZRangeWithScores(r.ctx, "vizstop:notify", 0, -1).Result()) {
		batch := z.Member.(string)
		d.Notify = append(d.Notify, Notice{
			Batch: batch, URL: ok(rdb.HGet(r.ctx, "vizstop:notify:urls", batch).Result()), At: int64(z.Score),
			Tried: r.hash("vizstop:notify:" + batch),
		})
	}
	slices.SortFunc(d.Notify, func(a, b Notice) int { return cmp.Compare(a.Batch, b.Batch) })
	return d
}

func (r reader) hash(key string) map[string]string {
	return ok(r.rdb.HGetAll(r.ctx, key).Result())
}

func (r reader) list(key string) []string {
	return ok(r.rdb.LRange(r.ctx, key, 0, -1).Result())
}

// expires is when a key expires; 0: never.
func (r reader) expires(key string) int64 {
	return max(0, ok(r.rdb.PExpireTime(r.ctx, key).Result()).Milliseconds())
}

// named reads the strings whose keys begin so.
func (r reader) named(prefix string, whole bool) map[string]string {
	all := make(map[string]string)
	for _, key := range ok(r.rdb.Keys(r.ctx, prefix+"*").Result()) {
		name := key
		if !whole {
			name = strings.TrimPrefix(key, prefix)
		}
		all[name] = ok(r.rdb.Get(r.ctx, key).Result())
	}
	return all
}

func inProject(id string, parts ...string) string {
	return "vizstop:{" + id + "}:" + strings.Join(parts, ":")
}

func (r reader) project(id string) Project {
	size := func(n int64, err error) int { return int(ok(n, err)) }
	p := Project{
		ID:       id,
		Pending:  size(r.rdb.ZCard(r.ctx, inProject(id, "state", "pending")).Result()),
		Stopping: size(r.rdb.ZCard(r.ctx, inProject(id, "state", "stopping")).Result()),
		Times:    size(r.rdb.LLen(r.ctx, inProject(id, "times")).Result()),
		Active:   r.hash(inProject(id, "active")), Screen: r.hash(inProject(id, "screen")),
		Pause: r.hash(inProject(id, "pause")), Throttle: r.hash(inProject(id, "throttle")),
		Last: r.named(inProject(id, "last", ""), false), Pointers: r.named(inProject(id, "task", ""), true),
		Uncounted: r.list(inProject(id, "uncounted")), Watched: make(map[string]int64),
	}
	for _, z := range ok(r.rdb.ZRangeWithScores(r.ctx, inProject(id, "watched"), 0, -1).Result()) {
		p.Watched[z.Member.(string)] = int64(z.Score)
	}
	return p
}

// batches lists the batches of a project, in the order of their creation.
func (r reader) batches(project string) []Batch {
	var all []Batch
	for _, id := range ok(r.rdb.ZRange(r.ctx, "vizstop:batches", 0, -1).Result()) {
		if !ok(r.rdb.SIsMember(r.ctx, "vizstop:batch:"+id, project).Result()) {
			continue
		}
		key := inProject(project, "batch", id)
		f := r.hash(key)
		b := Batch{
			Project: project, ID: id, Created: number(f["created"]), Ended: number(f["ended"]), Requester: f["requester"], Why: f["why"], Labels: f["labels"],
			Counts: make(map[string]int), Stops: r.list(key + ":stops"), Expires: r.expires(key),
			Joined: ok(r.rdb.SMembers(r.ctx, key+":joined").Result()),
		}
		slices.Sort(b.Joined)
		for name, n := range f {
			switch name {
			case "created", "ended", "requester", "why", "labels", "paced":
			default:
				if n != "0" {
					b.Counts[name] = int(number(n))
				}
			}
		}
		all = append(all, b)
	}
	return all
}

func (r reader) stop(project, id string) Stop {
	key := inProject(project, "stop", id)
	f := r.hash(key)
	return Stop{
		Project: project, ID: id, Batch: f["batch"], Job: f["job"], State: f["state"], Kind: f["kind"],
		Hop: int(number(f["hop"])), Calling: int(number(f["calling"])), Unsure: f["unsure"] == "1",
		Asked: number(f["asked"]), Due: number(f["due"]), Deadline: number(f["deadline"]), Next: number(f["next"]), Slot: number(f["slot"]),
		Called: number(f["called"]), Accepted: number(f["accepted"]), Looked: number(f["looked"]), Ended: number(f["ended"]), Expires: r.expires(key),
		Attempts: int(number(f["attempts"])), Calls: int(number(f["calls"])), Polls: int(number(f["polls"])),
		Status: f["status"], Reason: f["reason"], Labels: f["labels"], Task: f["task"], Prev: f["prev"],
	}
}

// tasks lists the tasks of all queues.
func (r reader) tasks() []Task {
	return append(r.queue("visualization"), r.queue("visualization-poll")...)
}

// queue lists the tasks of a queue. The first version leaves none to be retried,
// archived or kept by asynq unless something is broken.
func (r reader) queue(name string) []Task {
	var all []Task
	inspect := asynq.NewInspectorFromRedisClient(r.rdb)
	key := "asynq:{" + name + "}:"
	add := func(state, id string, at, lease float64) {
		info := ok(inspect.GetTaskInfo(name, id))
		if info.State.String() != state {
			r.t.Fatalf("task %s is %v and stands among the %s", id, info.State, state)
		}
		all = append(all, Task{name, state, id, info.Type, string(info.Payload), int64(at), int64(lease)})
	}
	for _, id := range r.list(key + "active") {
		add("active", id, 0, ok(r.rdb.ZScore(r.ctx, key+"lease", id).Result()))
	}
	for _, id := range r.list(key + "pending") {
		add("pending", id, 0, 0)
	}
	for _, z := range ok(r.rdb.ZRangeWithScores(r.ctx, key+"scheduled", 0, -1).Result()) {
		add("scheduled", z.Member.(string), z.Score, 0)
	}
	if n := len(ok(r.rdb.Keys(r.ctx, key+"t:*").Result())); n != len(all) {
		r.t.Fatalf("queue %s has %d tasks, and %d that are active, pending or scheduled", name, n, len(all))
	}
	return all
}

// number reads a whole number; 0 for none.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// ok is v, unless there was an error, which ends the test.
func ok[V any](v V, err error) V {
	if err != nil {
		panic(failure{err})
	}
	return v
}

// failure is what ok panics with.
type failure struct{ error }

// encode is d as JSON, a line for each thing.
func (d *Dump) encode() []byte {
	var b strings.Builder
	section := func(name string, n int, item func(i int) any) {
		fmt.Fprintf(&b, "\"%s\": [\n", name)
		for i := range n {
			line, err := json.Marshal(item(i))
			if err != nil {
				panic(err) // plain structs always encode
			}
			b.Write(line)
			if i < n-1 {
				b.WriteString(",")
			}
			b.WriteString("\n")
		}
		b.WriteString("],\n")
	}
	b.WriteString("{\n")
	section("projects", len(d.Projects), func(i int) any { return d.Projects[i] })
	section("batches", len(d.Batches), func(i int) any { return d.Batches[i] })
	section("stops", len(d.Stops), func(i int) any { return d.Stops[i] })
	section("tasks", len(d.Tasks), func(i int) any { return d.Tasks[i] })
	section("notify", len(d.Notify), func(i int) any { return d.Notify[i] })
	fmt.Fprintf(&b, "\"rate\": %q\n}\n", d.Rate)
	return []byte(b.String())
}
