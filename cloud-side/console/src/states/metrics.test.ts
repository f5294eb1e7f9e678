import { expect, it } from 'vitest';
import { samplesOf } from './metrics';

const TEXT = `# HELP bcdr_end When it ends.
# TYPE bcdr_end gauge
bcdr_end{name="ship"} 1798047038
bcdr_end{name="a \\"b\\" \\\\ }",role="x"} 1.5e3
bcdr_end_other{name="no"} 1
bcdr_plain 7
bcdr_end{name="broken"} soon
`;

it('reads the samples of one metric, with their labels', () => {
  expect(samplesOf(TEXT, 'bcdr_end')).toEqual([
    { labels: { name: 'ship' }, value: 1798047038 },
    { labels: { name: 'a "b" \\ }', role: 'x' }, value: 1500 },
  ]);
  expect(samplesOf(TEXT, 'bcdr_plain')).toEqual([{ labels: {}, value: 7 }]);
  expect(samplesOf(TEXT, 'bcdr_absent')).toEqual([]);
});
