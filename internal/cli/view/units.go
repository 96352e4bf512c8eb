// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Count writes a number with its thousands apart.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Bytes writes a size as people read it.
func Bytes(n int64) string {
	const step = 1024
	if n < step {
		return strconv.FormatInt(n, 10) + " B"
	}
	size, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if size /= step; size < step {
			break
		}
	}
	if size < 10 {
		return fmt.Sprintf("%.1f %s", size, unit)
	}
	return fmt.Sprintf("%.0f %s", size, unit)
}

// Span writes a duration with at most two units.
func Span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// whole is a Span without fractions of a second.
func whole(d time.Duration) string {
	if d < time.Second {
		return "0s"
	}
	return Span(d)
}

// Noun joins a number and a word, in the plural where that is due.
func Noun(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return Count(int64(n)) + " " + word
}

// bar is a part of a whole in blocks; it is full only if all is done, and never empty if something is.
func bar(share float64, width int) string {
	share = min(max(share, 0), 1)
	if math.IsNaN(share) {
		share = 0
	}
	full := int(math.Round(share * float64(width)))
	switch {
	case share < 1 && full == width:
		full--
	case share > 0 && full == 0:
		full = 1
	}
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

func percent(share float64) string {
	return strconv.Itoa(int(math.Floor(share*100+1e-9))) + "%"
}
