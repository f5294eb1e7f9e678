// Pages in states that a lab reaches rarely: answers of the API that were altered on their way to the page. Only
// what a page makes of an answer is to be looked at here; nothing is proven about the API.

const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const steps = (names, last) =>
  names.map((step, index) => ({
    step,
    attempts: 1,
    began_at: ago(400 - index * 20),
    ended_at: index === names.length - 1 ? null : ago(399 - index * 20),
    seconds: index === names.length - 1 ? null : 0.4 + index * 3.1,
    outcome: index === names.length - 1 ? last : 'done',
  }));
const allowed = (...names) => names.map((name) => ({ name, allowed: true }));
const refused = (name, reason, remedy) => ({ name, allowed: false, reason, remedy });
const rungs = ['instance_running', 'firmware', 'kernel', 'root_mounted', 'login'].map((rung, index) => ({
  rung,
  verdict: 'passed',
  at_seconds: 1.2 + index * 5.3,
  observed: `line of the ${rung} rung`,
  reason: null,
}));

/** A day, in a part of which nobody measured. */
function samples(group) {
  const hour = 3_600_000;
  const end = Math.ceil(Date.now() / hour) * hour;
  const items = Array.from({ length: 24 }, (_, index) => {
    const from = end - (24 - index) * hour;
    const blind = index === 7 || index === 8;
    return {
      from: new Date(from).toISOString(),
      to: new Date(from + hour).toISOString(),
      worst_seconds: blind ? null : 1.2 + ((index * 7) % 5) * (index === 15 ? 30 : 0.9),
      p95_seconds: blind ? null : 1.1,
      measured_seconds: blind ? 0 : 3600,
      blind_seconds: blind ? 3600 : 0,
    };
  });
  return { group: `${group.id}x`, group_name: 'billing', step_seconds: 3600, items };
}

function failover(group) {
  return {
    id: 'fov-01m83staged000000000000000',
    group: group.id,
    group_name: group.name,
    job: 'job-01m83staged000000000000000',
    mode: 'emergency',
    operator: 'first administrator',
    requested_at: ago(400),
    interrupted_at: ago(520),
    generation: 4,
    turned_back: false,
    commit_policy: { auto_rollback: { after_seconds: 1800 } },
    launch_settings: {},
    networks: [],
    allowed_actions: [
      ...allowed('commit', 'rollback'),
      refused('cancel', 'authority has moved to the target', 'roll back'),
    ],
    step: 'await_commit',
    stage: 'waiting',
    steps: steps(
      [
        'precheck',
        'probe_source',
        'fence',
        'pin_point',
        'create_branch',
        'boot_instance',
        'climb_rungs',
        'await_commit',
      ],
      null,
    ),
    decides_in_seconds: 1742,
    loss: { seconds: { at_least: 3 }, bytes: { unknown: 'source_told_nothing' } },
    point: '1-48211',
    point_time: ago(523),
    branch: 'brn-01m83staged000000000000000',
    instance: 'fov-01m83staged000000000000000',
    ladder: { passed: true, detail: '5 rungs passed, login last after 22.4 s', rungs },
  };
}

function failback(group, part) {
  return {
    id: 'fbk-01m83staged000000000000000',
    group: group.id,
    group_name: group.name,
    job: 'job-01m83staged000000000000001',
    operator: 'first administrator',
    requested_at: ago(900),
    seed: 'original_disk',
    seeded: false,
    proven_equal: false,
    sent_bytes: 0,
    turned_back: false,
    fork: '1-48211',
    branch: 'brn-01m83staged000000000000000',
    commit_policy: 'manual',
    generation: 5,
    disks: group.volumes.map(({ id, name, size_bytes }, index) => ({
      volume: id,
      volume_name: name,
      serial: `00000000000a41c${index}`,
      size_bytes,
      blank: false,
      confirmed: part.seeded ?? false,
    })),
    ...part,
  };
}

function restore(group, part) {
  return {
    id: 'rst-01m83staged000000000000000',
    group: group.id,
    group_name: group.name,
    job: 'job-01m83staged000000000000002',
    operator: 'first administrator',
    requested_at: ago(300),
    set_aside: false,
    turned_back: false,
    point: '1-48211',
    point_time: ago(7200),
    undo_label: 'before-rst-01m83staged000000000000000',
    undo_point: '1-50012',
    undo_time: ago(290),
    fetched_bytes: 81_264_640,
    written_bytes: 73_400_320,
    loss: { seconds: { at_least: 7200 }, bytes: { exactly: 734_003_200 } },
    progress: { done_bytes: 3_435_973_836, total_bytes: 10_737_418_240 },
    ...part,
  };
}

/** The states, by the name of their picture: where the page is, and what the API is made to have said. */
export function staged(group, placement) {
  const decide = failover(group);
  const confirm = failback(group, {
    step: 'await_seed',
    stage: 'waiting',
    steps: steps(['inspect_home', 'await_seed'], null),
    allowed_actions: [
      ...allowed('confirm_disks', 'cancel'),
      refused('rollback', 'the cutover has not begun', 'cancel the failback'),
      refused('commit', 'production is not at home yet', 'cut over first'),
    ],
  });
  const blocked = failback(group, {
    seeded: true,
    step: 'between_rounds',
    stage: 'blocked',
    method: 'changed_ranges',
    sent_bytes: 10_171_187,
    remaining_bytes: 4096,
    left_behind: 'brn-01m83staged000000000000009',
    steps: steps(
      [
        'inspect_home',
        'await_seed',
        'hold_home',
        'keep_left_behind',
        'plan_seed',
        'copy_round',
        'between_rounds',
      ],
      null,
    ),
    failure: {
      step: 'between_rounds',
      code: 'home_silent',
      cause: 'nothing was heard of home for 120 s',
      remedy: 'see that the capture at home runs and reaches its gateway; then try again',
    },
    allowed_actions: [
      ...allowed('retry', 'cutover', 'cancel'),
      refused('commit', 'production is not at home yet', 'cut over first'),
    ],
  });
  const split = {
    ...placement,
    state: 'split_brain_suspected',
    authority: 'target',
    generation: 4,
    source: { generation: 3, serving: 'writable' },
    split_brain: { reason: 'both_writable', since: ago(95), source_generation: 3, keeping: null },
    allowed_actions: allowed('keep_source', 'keep_target'),
  };
  const splitGroup = {
    ...group,
    placement: 'split_brain_suspected',
    health: {
      level: 'critical',
      reasons: [{ code: 'disconnected', detail: 'no gateway is connected for this group' }],
    },
    replication: {
      state: 'disconnected',
      since: ago(95),
      reason: 'no gateway is connected for this group',
      progress: null,
    },
    rpo_known: false,
    rpo_seconds: null,
    drill: { ...group.drill, drill: null, state: 'none' },
    allowed_actions: [
      ...allowed('keep_source', 'keep_target', 'start_drill', 'open_view'),
      refused(
        'create_point',
        'the source is not connected, and it places the marker',
        'bring capture and gateway up',
      ),
      refused('failover_start', 'a split brain is suspected', 'say which site is kept'),
    ],
  };
  const blockedRestore = restore(group, {
    step: 'restore_disks',
    stage: 'blocked',
    steps: steps(
      [
        'precheck',
        'quiesce_source',
        'drain_source',
        'place_bookmark',
        'hold_home',
        'inspect_home',
        'restore_disks',
      ],
      null,
    ),
    failure: {
      step: 'restore_disks',
      code: 'home_silent',
      cause: 'nothing was heard of the source for 120 s',
      remedy: 'see that the capture runs and reaches its gateway; then try again',
    },
    allowed_actions: [
      ...allowed('retry', 'cancel'),
      refused('undo', 'the restore has not ended', 'cancel it, or wait for its end'),
    ],
  });
  const name = encodeURIComponent(group.name);
  return [
    {
      name: 'staged-failover-decide',
      path: `/failovers/${decide.id}`,
      answers: { [`failovers/${decide.id}`]: decide },
    },
    {
      name: 'staged-failback-confirm',
      path: `/failbacks/${confirm.id}`,
      answers: { [`failbacks/${confirm.id}`]: confirm },
    },
    {
      name: 'staged-failback-blocked',
      path: `/failbacks/${blocked.id}`,
      answers: { [`failbacks/${blocked.id}`]: blocked },
    },
    {
      name: 'staged-restore-blocked',
      path: `/restores/${blockedRestore.id}`,
      answers: { [`restores/${blockedRestore.id}`]: blockedRestore },
    },
    {
      name: 'staged-split-brain',
      path: `/groups/${name}`,
      answers: { [`groups/${name}`]: splitGroup, [`groups/${name}/placement`]: split },
    },
    {
      name: 'staged-inbox',
      path: '/',
      answers: {
        groups: { items: [splitGroup, { ...group, id: `${group.id}x`, name: 'billing' }], next_cursor: null },
        'groups/billing/samples': samples(group),
      },
    },
  ];
}
