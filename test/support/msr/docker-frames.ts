/** What the daemon sends its client: frames of a byte that says what it is, four for how long it is, and the bytes. */
export const FRAME_KINDS = ['stdout', 'stderr', 'exit'] as const;
