// SPDX-License-Identifier: Apache-2.0

package redistribute

// What a move takes before anything was measured: a small machine's figures, so that real ones rarely are worse.
const (
	assumedBytesPerSecond = 20e6
	secondsPerTable       = 0.15
	// measuredFrom is how much must have been moved before its speed says anything.
	measuredFrom = 10e6
)

// SecondsLeft estimates how long it takes to move that many tables and bytes, when doneBytes took spentSeconds.
func SecondsLeft(tables int, bytes, doneBytes int64, spentSeconds float64) int64 {
	perSecond := float64(assumedBytesPerSecond)
	if doneBytes >= measuredFrom && spentSeconds > 0 {
		perSecond = float64(doneBytes) / spentSeconds
	}
	left := float64(tables)*secondsPerTable + float64(bytes)/perSecond
	if left > 0 && left < 1 {
		return 1
	}
	return int64(left)
}
