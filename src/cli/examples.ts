/** Command lines worth having seen, for `--help`, for the manual page and for a test that each of them is understood. */
export interface Example {
  readonly does: string;
  /** Behind `blobferry`. */
  readonly line: string;
}

const OLD = 'file:///var/lib/registry';
const CEPH = "'s3://images/registry?endpoint=https://ceph.example:7480'";

/** By the names of the commands. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  probe: [
    { does: 'What is in this folder, and can it be read?', line: `probe ${OLD}` },
    { does: 'Can this bucket be written, and what does the server check?', line: `probe --write ${CEPH}` },
  ],
  plan: [
    { does: 'What is to be copied, and how long may it take?', line: `plan --from ${OLD} --to new.yml` },
    {
      does: 'What would it cost, as JSON?',
      line: 'plan --from old.yml --to new.yml --prices prices.yml --json',
    },
  ],
  copy: [
    {
      does: 'Copy while the registry runs; run it again and it copies the rest',
      line: `copy --from ${OLD} --to new.yml`,
    },
    {
      does: 'The last pass, once nothing writes to the registry any more',
      line: `copy --from ${OLD} --to new.yml --frozen`,
    },
    {
      does: 'The same, and tags that were deleted meanwhile go from the copy, too',
      line: `copy --from ${OLD} --to new.yml --frozen --delete-extra`,
    },
    {
      does: 'Blobs of MSR, each compared with what its metadata backup says',
      line: `copy --from ${OLD} --to new.yml --digests dtr-backup.tar`,
    },
    {
      does: 'From bucket to bucket, with a limit, and metrics for Prometheus',
      line: "copy --from 's3://old/registry?region=eu-central-1' --to new.yml --bandwidth 100MiB/s --metrics-port 9464",
    },
    {
      does: 'Within one service, but with every byte read here',
      line: "copy --from 's3://old?endpoint=https://ceph.example:7480' --to 's3://new?endpoint=https://ceph.example:7480' --server-side never",
    },
    {
      does: 'Any other objects, whatever they are',
      line: 'copy --from file:///srv/files --to s3://files?region=eu-central-1 --layout raw',
    },
  ],
  verify: [
    { does: 'Is everything there? By path, size and checksum', line: `verify --from ${OLD} --to new.yml` },
    { does: 'The same, reading everything back', line: `verify --deep --from ${OLD} --to new.yml` },
  ],
  migrate: [
    {
      does: 'What would be done, and is everything in order? Changes nothing',
      line: 'migrate move.yml --until preflight',
    },
    {
      does: 'All of it, asking where it matters; run it again after any interruption',
      line: 'migrate move.yml',
    },
    { does: 'Without a question, up to what cannot be taken back', line: 'migrate move.yml --yes' },
    { does: 'Take back what an interrupted migration has changed', line: 'migrate move.yml --undo' },
  ],
  completion: [
    { does: 'Its output is sourced: source <(blobferry completion bash)', line: 'completion bash' },
    {
      does: 'Or saved where the shell looks: > ~/.config/fish/completions/blobferry.fish',
      line: 'completion fish',
    },
  ],
};

/** As `--help` shows it. */
export function examplesText(command: string): string {
  const examples = EXAMPLES[command] ?? [];
  const lines = examples.flatMap(({ does, line }) => [`  # ${does}`, `  blobferry ${line}`]);
  return ['', 'Examples:', ...lines].join('\n');
}
