// Starts `relayd demo` once for a test file, in a directory of its own, and ends it afterwards.
// RELAYD_E2E=upstream puts the demo provider itself in its place: it tells whose fault a failure is.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const UPSTREAM_ALONE = `
import asyncio, json, signal
from relayd.demo.app import CREDENTIAL, DemoUpstream

async def main():
    upstream = DemoUpstream(pace_ms=1)
    await upstream.start()
    origin = f"http://127.0.0.1:{upstream.port}"
    print(json.dumps({"openai": origin + "/v1", "anthropic": origin, "gemini": origin,
                      "key": CREDENTIAL}), flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await upstream.stop()

asyncio.run(main())
`;

export const isRelay = process.env.RELAYD_E2E !== 'upstream';

export async function startDemo() {
  const folder = await mkdtemp(join(tmpdir(), 'relayd-node-'));
  const command = isRelay ? ['-m', 'relayd', 'demo', '--port', '0', '--json'] : ['-c', UPSTREAM_ALONE];
  const child = spawn('python', command, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([text]) => text),
    ended.then(([code]) => { throw new Error(`relayd demo ended with ${code}`); }),
  ]);
  return {
    ...JSON.parse(line),
    folder,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      await rm(folder, { recursive: true, force: true });
      if (code !== 0) throw new Error(`relayd demo ended with ${code}`);
    },
  };
}

// A fetch that counts what an SDK sends.
export function countingFetch() {
  const counting = async (...request) => {
    counting.count += 1;
    return fetch(...request);
  };
  counting.count = 0;
  return counting;
}

export async function collect(events) {
  const found = [];
  for await (const event of events) found.push(event);
  return found;
}
