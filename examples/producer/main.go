// Command producer asks vizstop to stop one job, as any program with an asynq
// client can: it knows nothing of vizstop but the task's type, queue and
// payload. See docs/producers.md.
//
//	go run ./examples/producer -redis 127.0.0.1:6380 0123456789abcdef0123456789abcdef 10
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"

	"github.com/hibiken/asynq"
)

func main() {
	addr := flag.String("redis", "127.0.0.1:6379", "host:port of Redis")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: producer [-redis host:port] PROJECT JOB")
	}
	payload, err := json.Marshal(map[string]string{
		"project_id": flag.Arg(0),
		"job_id":     flag.Arg(1),
	})
	if err != nil {
		log.Fatal(err)
	}
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: *addr})
	defer client.Close()

	info, err := client.Enqueue(asynq.NewTask("visualization:stop", payload), asynq.Queue("visualization"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("enqueued task", info.ID)
}
