import { DrillList } from '../drill/DrillList';
import { SchedulePanel } from '../drill/SchedulePanel';
import { useGroup } from './GroupFrame';

/** A group's drills, and when it is drilled by itself. */
export function GroupDrillsPage() {
  const { group } = useGroup();
  return (
    <>
      <SchedulePanel group={group} />
      <DrillList group={group.name} />
    </>
  );
}
