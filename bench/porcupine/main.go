// Judges histories of registers with Porcupine, for the comparison in bench/checkers.py.
//
// Reads from standard input one operation a line: history, client, "r" or "w", key, value, call,
// return. A register holds 0 at first. Writes one line a history: its verdict and the seconds that
// the check itself took.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

type input struct {
	write bool
	key   int
	value int
}

var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[int][]porcupine.Operation{}
		for _, operation := range history {
			key := operation.Input.(input).key
			byKey[key] = append(byKey[key], operation)
		}
		parts := make([][]porcupine.Operation, 0, len(byKey))
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() interface{} { return 0 },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		asked := in.(input)
		if asked.write {
			return true, asked.value
		}
		return out.(int) == state.(int), state
	},
}

func main() {
	limit := flag.Duration("limit", 20*time.Second, "for each history")
	flag.Parse()
	var operations []porcupine.Operation
	current := -1
	judge := func() {
		if current < 0 {
			return
		}
		start := time.Now()
		verdict := porcupine.CheckOperationsTimeout(register, operations, *limit)
		fmt.Println(verdict, time.Since(start).Seconds())
		operations = operations[:0]
	}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		var history, client, key, value int
		var call, end int64
		var kind string
		n, _ := fmt.Fscan(lines, &history, &client, &kind, &key, &value, &call, &end)
		if n < 7 {
			break
		}
		if history != current {
			judge()
			current = history
		}
		asked := input{write: kind == "w", key: key, value: value}
		operations = append(operations, porcupine.Operation{ClientId: client, Input: asked, Call: call, Output: value, Return: end})
	}
	judge()
}
