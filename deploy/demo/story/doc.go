// Package story plays what Sluice is for on a stage, tells it step by step, and checks each step.
package story
