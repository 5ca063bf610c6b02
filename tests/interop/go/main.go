// Does with go-zookeeper's lock what it is told on standard input, line by line:
// HANDLE VERB ARGUMENTS... Each handle is a goroutine of its own; its answer is
// HANDLE ok VALUE or HANDLE error WHY. The end of the input is the end of the process.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

var output sync.Mutex

func say(format string, arguments ...any) {
	output.Lock()
	defer output.Unlock()
	fmt.Printf(format+"\n", arguments...)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// What one handle holds. The library knows no chroot: root stands before every path.
type handle struct {
	conn *zk.Conn
	root string
	held *zk.Lock
}

func (h *handle) lock(path string) *zk.Lock {
	return zk.NewLock(h.conn, h.root+path, zk.WorldACL(zk.PermAll))
}

func (h *handle) obey(words []string) error {
	switch words[0] {
	case "acquire":
		h.held = h.lock(words[2])
		return h.held.Lock()
	case "release":
		return h.held.Unlock()
	case "torture":
		rounds, err := strconv.Atoi(words[4])
		if err != nil {
			return err
		}
		return h.torture(words[2], h.root+words[3], rounds)
	}
	return fmt.Errorf("no such verb: %s", words[0])
}

// Reads, adds one and writes, so many times, each time holding the lock.
func (h *handle) torture(path, counter string, rounds int) error {
	for range make([]struct{}, rounds) {
		lock := h.lock(path)
		if err := lock.Lock(); err != nil {
			return err
		}
		data, _, err := h.conn.Get(counter)
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(string(data))
		if err != nil {
			return err
		}
		if _, err := h.conn.Set(counter, []byte(strconv.Itoa(number+1)), -1); err != nil {
			return err
		}
		if err := lock.Unlock(); err != nil {
			return err
		}
	}
	return nil
}

func run(name string, h *handle, commands <-chan []string) {
	for words := range commands {
		if err := h.obey(words); err != nil {
			say("%s error %v", name, err)
		} else {
			say("%s ok ", name)
		}
	}
}

func main() {
	hosts, root, _ := strings.Cut(os.Args[1], "/")
	conn, events, err := zk.Connect(strings.Split(hosts, ","), 15*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for event := range events {
		if event.State == zk.StateHasSession {
			break
		}
	}
	go func() {
		for range events {
		}
	}()
	say("ready")
	handles := map[string]chan []string{}
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		words := strings.Fields(input.Text())
		commands, known := handles[words[0]]
		if !known {
			commands = make(chan []string, 16)
			handles[words[0]] = commands
			go run(words[0], &handle{conn: conn, root: "/" + root}, commands)
		}
		commands <- words[1:]
	}
	conn.Close()
}
