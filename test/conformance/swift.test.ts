/** The cases over a real OpenStack Swift. */
import { after, describe } from 'node:test';
import { SharedServer } from '../support/shared-server.ts';
import { startSwift } from '../support/swift.ts';
import { missingTools } from '../support/tools.ts';
import { describePlantedFaults } from './planted.ts';
import { type DriverFixture, describeDriver, type SuiteOptions } from './suite.ts';
import { openSwiftFixture, SWIFT_LACKS } from './swift-service.ts';

const swift = new SharedServer('swift', (directory) => startSwift({ directory }));
after(() => swift.stop());

const OPTIONS: SuiteOptions = {
  timeoutMs: 120_000,
  manyObjects: 250,
  // Of two who write at the same moment one is told that the other's was kept.
  lacks: [...SWIFT_LACKS, 'settledRaces'],
};

async function openSwift(): Promise<DriverFixture> {
  return openSwiftFixture(await swift.get());
}

const skip = missingTools('swift');
if (skip) {
  describe('Swift driver', { skip }, () => undefined);
} else {
  describeDriver('Swift', openSwift, OPTIONS);
  describePlantedFaults('Swift', openSwift, OPTIONS);
}
