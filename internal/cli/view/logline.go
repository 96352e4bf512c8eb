// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// LogLine is one line of the log of a node.
type LogLine struct {
	Node string
	// Time is zero where the line tells none; such a line stays behind the one before it.
	Time                   time.Time
	Level, Logger, Message string
	// Fields are the other ones, as key=value, in the order of their keys.
	Fields []string
}

// ParseLogLine reads a line that an instance wrote. What is no JSON is a message as it is.
func ParseLogLine(node, text string) LogLine {
	line := LogLine{Node: node}
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		line.Message = clean(text)
		return line
	}
	take := func(key string) string {
		value, _ := all[key].(string)
		delete(all, key)
		return value
	}
	if at, err := time.Parse(time.RFC3339Nano, take("time")); err == nil {
		line.Time = at
	}
	line.Level, line.Logger, line.Message = take("level"), take("logger"), take("msg")
	for key, value := range all {
		text, ok := value.(string)
		if !ok {
			raw, err := json.Marshal(value)
			if err != nil {
				raw = fmt.Append(nil, value)
			}
			text = string(raw)
		}
		line.Fields = append(line.Fields, key+"="+text)
	}
	slices.Sort(line.Fields)
	return line
}

// Text is the line as people read it. It is not cut: what is at its end may be what is looked for.
func (l LogLine) Text(s Style) string {
	at := strings.Repeat(" ", len("15:04:05.000"))
	if !l.Time.IsZero() {
		at = l.Time.In(s.Now.Location()).Format("15:04:05.000")
	}
	who := l.Logger
	if who == "manager" || who == "" {
		who = "-"
	}
	level := map[string]string{"ERROR": red, "FATAL": red, "PANIC": red, "WARN": yellow, "WARNING": yellow}[l.Level]
	parts := []string{fmt.Sprintf("%s %-4s %-8s %s %s", s.paint(dim, at), l.Node, who, s.paint(level, fmt.Sprintf("%-5s", l.Level)), clean(l.Message))}
	for _, f := range l.Fields {
		parts = append(parts, s.paint(dim, clean(f)))
	}
	return strings.Join(parts, "  ")
}
