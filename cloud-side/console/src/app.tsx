/** Which address is which page. All of them are the server's `index.html`; see the README. */
import { createBrowserRouter, Navigate, type RouteObject, RouterProvider } from 'react-router';
import { useSignedIn } from './api/signedIn';
import { AccessPage } from './pages/AccessPage';
import { AlertsPage } from './pages/AlertsPage';
import { AuditPage } from './pages/AuditPage';
import { AlertPage } from './pages/alert/AlertPage';
import { BrokenPage } from './pages/BrokenPage';
import { DrillsPage } from './pages/DrillsPage';
import { DrillPage } from './pages/drill/DrillPage';
import { GroupsPage } from './pages/GroupsPage';
import { GroupDrillsPage } from './pages/group/GroupDrillsPage';
import { GroupFrame } from './pages/group/GroupFrame';
import {
  GroupJobsPage,
  GroupReportsPage,
  GroupRestoresPage,
  GroupViewsPage,
} from './pages/group/GroupListsPages';
import { GroupMovesPage } from './pages/group/GroupMovesPage';
import { NowPage } from './pages/group/NowPage';
import { PointsPage } from './pages/group/PointsPage';
import { TimelinePage } from './pages/group/TimelinePage';
import { InfrastructurePage } from './pages/InfrastructurePage';
import { JobPage } from './pages/JobPage';
import { JobsPage } from './pages/JobsPage';
import { MovesPage } from './pages/MovesPage';
import { FailbackPage } from './pages/move/FailbackPage';
import { FailoverPage } from './pages/move/FailoverPage';
import { NotFoundPage } from './pages/NotFoundPage';
import { OverviewPage } from './pages/OverviewPage';
import { PlansPage } from './pages/PlansPage';
import { EditPage, NewPlanPage } from './pages/plan/EditPage';
import { PlanPage } from './pages/plan/PlanPage';
import { RunPage } from './pages/plan/RunPage';
import { ReportsPage } from './pages/ReportsPage';
import { RestoresPage } from './pages/RestoresPage';
import { ReportPage } from './pages/report/ReportPage';
import { RestorePage } from './pages/restore/RestorePage';
import { SettingsPage } from './pages/SettingsPage';
import { AskingPage, SignInPage } from './pages/SignInPage';
import { ViewsPage } from './pages/ViewsPage';
import { Shell } from './parts/Shell';

const routes: RouteObject[] = [
  {
    element: <Shell />,
    errorElement: <BrokenPage />,
    children: [
      { index: true, element: <OverviewPage /> },
      { path: 'groups', element: <GroupsPage /> },
      {
        path: 'groups/:group',
        element: <GroupFrame />,
        children: [
          { index: true, element: <NowPage /> },
          { path: 'timeline', element: <TimelinePage /> },
          { path: 'points', element: <PointsPage /> },
          { path: 'drills', element: <GroupDrillsPage /> },
          { path: 'moves', element: <GroupMovesPage /> },
          { path: 'restores', element: <GroupRestoresPage /> },
          { path: 'views', element: <GroupViewsPage /> },
          { path: 'reports', element: <GroupReportsPage /> },
          { path: 'jobs', element: <GroupJobsPage /> },
        ],
      },
      { path: 'alerts', element: <AlertsPage /> },
      { path: 'alerts/:id', element: <AlertPage /> },
      { path: 'plans', element: <PlansPage /> },
      { path: 'plans/:plan', element: <PlanPage /> },
      { path: 'plans/:plan/edit', element: <EditPage /> },
      { path: 'new-plan', element: <NewPlanPage /> },
      { path: 'plan-runs/:id', element: <RunPage /> },
      { path: 'drills', element: <DrillsPage /> },
      { path: 'drills/:id', element: <DrillPage /> },
      { path: 'moves', element: <MovesPage /> },
      { path: 'failovers/:id', element: <FailoverPage /> },
      { path: 'failbacks/:id', element: <FailbackPage /> },
      { path: 'restores', element: <RestoresPage /> },
      { path: 'restores/:id', element: <RestorePage /> },
      { path: 'jobs', element: <JobsPage /> },
      { path: 'jobs/:id', element: <JobPage /> },
      { path: 'views', element: <ViewsPage /> },
      { path: 'reports', element: <ReportsPage /> },
      { path: 'reports/:id', element: <ReportPage /> },
      { path: 'access', element: <AccessPage /> },
      { path: 'audit', element: <AuditPage /> },
      { path: 'infrastructure', element: <InfrastructurePage /> },
      { path: 'system', element: <Navigate to="/infrastructure" replace /> },
      { path: 'settings', element: <SettingsPage /> },
      { path: '*', element: <NotFoundPage /> },
    ],
  },
];

const router = createBrowserRouter(routes);

export function App() {
  const signedIn = useSignedIn();
  switch (signedIn.way) {
    case 'asking':
      return <AskingPage />;
    case 'out':
      // In the place of the page that one was on: its address stays, and so one comes back to it.
      return <SignInPage why={signedIn.why} first={signedIn.first} />;
    case 'token':
    case 'name':
      return <RouterProvider router={router} />;
  }
}
