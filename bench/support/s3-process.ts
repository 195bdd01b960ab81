/** The embedded S3 server in a process of its own, so that its CPU is not the copier's. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('../s3-server/main.ts', import.meta.url));

export interface S3Process {
  readonly endpoint: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export async function startS3Process(
  buckets: readonly string[],
  extra: readonly string[] = [],
): Promise<S3Process> {
  const child = spawn(process.execPath, [SERVER, '--port', '0', '--buckets', buckets.join(','), ...extra], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`The S3 server ended with ${code} before it was ready`)));
  });
  const { endpoint } = JSON.parse(line) as { endpoint: string };
  return {
    endpoint,
    pid: child.pid ?? 0,
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners('exit');
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}
