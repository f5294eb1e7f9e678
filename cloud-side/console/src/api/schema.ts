// Made by `npm run generate` from cloud-side/openapi.json. Not edited by hand.

export interface paths {
    "/api/v1/alert-channels": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists the channels that the configuration names, and whether what is told by them arrives. */
        get: operations["list_alert_channels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alert-channels/{channel}/actions/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sends a test message by a channel now, and says what came of it. */
        post: operations["test_alert_channel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alerts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists alerts, newest first. Cleared ones are kept for 90 days. */
        get: operations["list_alerts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alerts/{alert}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows an alert with its history and its messages. */
        get: operations["show_alert"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alerts/{alert}/actions/acknowledge": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes an alert on: no reminder is sent any more. It is over only when its condition is. */
        post: operations["acknowledge_alert"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alerts/{alert}/actions/mute": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Keeps what an alert is about quiet for a while. It is shown all the same, and what people do not
         *     know by then is told when the mute ends.
         */
        post: operations["mute_alert"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/alerts/{alert}/actions/unmute": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ends all mutes that cover an alert. */
        post: operations["unmute_alert"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists entries of the audit log, newest first. */
        get: operations["list_audit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Exports the audit log, or a period of it, in the form that the verifier reads. */
        get: operations["export_audit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/head": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows how far the audit log reaches, signed now, and how it is. */
        get: operations["show_audit_head"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/branches": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists branches, oldest first. */
        get: operations["list_branches"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/branches/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a branch. */
        get: operations["show_branch"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/branches/{id}/actions/remove": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Removes a branch with its history, for good. Refused while production runs on it, a job needs it, a
         *     view shows it or another branch lies above it.
         */
        post: operations["remove_branch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/branches/{id}/points": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists the points of a branch's own history, newest first. The point it began as is not among them. */
        get: operations["list_branch_points"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows the configuration: groups, drill schedules, plans and users, each in the order of names. It
         *     holds no secret, and nothing that an apply would refuse.
         */
        get: operations["export_configuration"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/actions/apply": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes the configuration what a document says. Everything that is wrong with the document is told at
         *     once, and then nothing is changed. The same document again changes nothing. Each part of the document
         *     needs what its own route needs: `protect` for groups, `drill` for drill schedules, `plan` for plans,
         *     `manage_access` for users; `If-Match` needs what an export needs.
         */
        post: operations["apply_configuration"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/drills": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists drills, newest first. */
        get: operations["list_drills"];
        put?: never;
        /** Starts a drill: boots a point in isolation and judges how far it comes. */
        post: operations["start_drill"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/drills/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a drill. */
        get: operations["show_drill"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/drills/{id}/actions/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stops a drill. Its clean-up follows at once; the job ends when that is proven. */
        post: operations["stop_drill"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/drills/{id}/evidence/{file}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Sends a file that a drill kept. */
        get: operations["read_evidence"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/drills/{id}/screen": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows the screen of a drill's machine as it is now; a machine is asked at most once a second, and
         *     others get the last picture.
         */
        get: operations["show_drill_screen"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists events. They are kept in memory, the newest 10,000 since the cloud side started; a `reset`
         *     stands for all before them, and for whatever lay between a cursor that is not known any more and
         *     the events that are.
         */
        get: operations["list_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follows the events: a stream of server-sent events (`text/event-stream`), each with its id, its kind
         *     as the event's type, and its JSON as data; a comment every 15 seconds while there is none. With
         *     `Last-Event-ID` it goes on after that event; without, or when it is not known what followed, it
         *     begins with a `reset`. It ends with the session or token, with the cloud side, and for a client that
         *     is too slow.
         */
        get: operations["follow_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failbacks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists failbacks, newest first. */
        get: operations["list_failbacks"];
        put?: never;
        /** Starts a failback. Nothing at home is overwritten before its disks were confirmed. */
        post: operations["start_failback"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failbacks/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a failback. */
        get: operations["show_failback"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failbacks/{id}/actions/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Gives up a failback before its cutover. */
        post: operations["cancel_failback"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failbacks/{id}/actions/commit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a failback final: production belongs to home from then on. */
        post: operations["commit_failback"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failbacks/{id}/actions/confirm_disks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Confirms which disks at home may be overwritten. */
        post: operations["confirm_failback_disks"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failbacks/{id}/actions/cutover": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Brings production home now: the machine at the target is shut down, the last changes are sent,
         *     and the disks are compared.
         */
        post: operations["cut_over_failback"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failbacks/{id}/actions/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tries the step again in which a failback is blocked. */
        post: operations["retry_failback"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failbacks/{id}/actions/rollback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Undoes a failback after its cutover: home stops, and the machine at the target is started again.
         *     What home wrote is kept as a branch.
         */
        post: operations["rollback_failback"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failovers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists failovers, newest first. */
        get: operations["list_failovers"];
        put?: never;
        /** Starts a failover. It stays reversible until it is committed. */
        post: operations["start_failover"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failovers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a failover. */
        get: operations["show_failover"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failovers/{id}/actions/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Gives up a failover that did not change authority yet. */
        post: operations["cancel_failover"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failovers/{id}/actions/commit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a failover final: production belongs to the target from then on. */
        post: operations["commit_failover"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failovers/{id}/actions/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tries the step again in which a failover is blocked. */
        post: operations["retry_failover"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failovers/{id}/actions/rollback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Undoes a failover: the machine at the target ends, and the source is the authority again. What
         *     the machine wrote is kept as a branch.
         */
        post: operations["rollback_failover"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/failovers/{id}/screen": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows the screen of a failover's machine as it is now, in the same way. */
        get: operations["show_failover_screen"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists groups, oldest first; to a token that is for some groups only those. */
        get: operations["list_groups"];
        put?: never;
        /** Makes a group. Its id, stream and volume ids go into the capture's configuration. */
        post: operations["create_group"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a group. */
        get: operations["show_group"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/drill-schedule": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows when a group is drilled. */
        get: operations["show_drill_schedule"];
        /**
         * Sets when a group is drilled, in place of what was set before. The first drill is due one cadence
         *     from now, or at the next time of the day.
         */
        put: operations["set_drill_schedule"];
        post?: never;
        /** Removes a group's schedule: no drill starts by itself any more. A drill that runs goes on. */
        delete: operations["remove_drill_schedule"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/failover-preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows, without changing anything, what a failover would boot and lose. */
        get: operations["preview_failover"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/placement": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows which site a group's production belongs to. */
        get: operations["show_placement"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/placement/actions/keep_source": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Keeps the source's data: the target ends, and the source may serve. The way out of a suspected
         *     split brain, and of a rollback whose proof cannot be had.
         */
        post: operations["keep_source"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/placement/actions/keep_target": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Keeps the target's data: the source is cut. The way out of a suspected split brain. */
        post: operations["keep_target"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/placement/actions/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tries the blocked step again, be it of a decision about a split brain or of the job on its way. */
        post: operations["retry_placement"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/points": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists the points of a group, newest first. */
        get: operations["list_points"];
        put?: never;
        /**
         * Makes a bookmark: a marker is placed at the source now, and the job ends when its point is
         *     published.
         */
        post: operations["create_point"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/points:nearest": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows the newest point at or before an instant. */
        get: operations["nearest_point"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/points/{point}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a point. */
        get: operations["show_point"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/points/{point}/readiness": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows what the last inspection of a point said. */
        get: operations["show_point_readiness"];
        put?: never;
        /** Inspects a point now. */
        post: operations["check_point_readiness"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/restore-preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows, without changing anything, what a restore in place would put back. */
        get: operations["preview_restore"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/runbook": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows what to do to fail a group over, as one HTML file to be kept on paper. */
        get: operations["read_runbook"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{group}/samples": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows how old a group's newest point was, over time, from the history that is kept of every hour. */
        get: operations["list_samples"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists jobs, newest first. */
        get: operations["list_jobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a job, now or at its end. */
        get: operations["show_job"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plan-runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists runs of plans, newest first. */
        get: operations["list_plan_runs"];
        put?: never;
        /** Runs a plan. */
        post: operations["start_plan_run"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plan-runs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a run of a plan. */
        get: operations["show_plan_run"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plan-runs/{id}/actions/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Releases a step that awaits approval. */
        post: operations["approve_plan_step"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plan-runs/{id}/actions/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives a run up: nothing more begins, drills are stopped and cleaned, failovers before their fence
         *     are cancelled. Failovers behind it stay, and await their own decision.
         */
        post: operations["cancel_plan_run"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plan-runs/{id}/actions/retry-step": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Begins a failed step again that holds the run up. */
        post: operations["retry_plan_step"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plan-runs/{id}/actions/skip-step": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Goes on without a step that failed, or cuts a wait short. */
        post: operations["skip_plan_step"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plans": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists plans, by name. */
        get: operations["list_plans"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plans/{plan}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a plan. Its ETag begins with its version. */
        get: operations["show_plan"];
        /** Applies a plan, as its next version. The same document again changes nothing. */
        put: operations["apply_plan"];
        post?: never;
        /** Removes a plan. Its versions and runs stay; one that is run is not removed. */
        delete: operations["remove_plan"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plans/{plan}/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Says whether a plan could be run now, and what stands in the way. Changes nothing. */
        get: operations["check_plan"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/plans/{plan}/forecast": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Says how long a run of a plan would take, from what earlier runs took. */
        get: operations["forecast_plan"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists reports, newest first. */
        get: operations["list_reports"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a signed report, by its id or that of what it is about (then the newest). */
        get: operations["show_report"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports/{id}/html": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a report as one HTML file. */
        get: operations["read_report"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports/key": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows the key that reports are signed with, and where their chain ends. */
        get: operations["show_report_key"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports/trend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows results, recovery times and recovery points of drills over time, the oldest first. */
        get: operations["show_report_trend"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports/trend/html": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows the trend as one HTML file. */
        get: operations["read_report_trend"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/restores": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists restores, newest first. */
        get: operations["list_restores"];
        put?: never;
        /**
         * Starts a restore in place: the source stops writes, all it holds is bookmarked, its disks are
         *     brought to the point, and it serves them again.
         */
        post: operations["start_restore"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/restores/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a restore. */
        get: operations["show_restore"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/restores/{id}/actions/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives up a restore that does not serve yet. If nothing was written the source serves what it has;
         *     else its disks are brought back to the bookmark first.
         */
        post: operations["cancel_restore"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/restores/{id}/actions/confirm_disks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Tries the step again in which a restore is blocked, on disks that took the place of others while it
         *     was on its way. Their host compares what was typed with what it finds.
         */
        post: operations["confirm_restore_disks"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/restores/{id}/actions/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tries the step again in which a restore is blocked. */
        post: operations["retry_restore"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/restores/{id}/actions/undo": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Undoes a restore: another restore, to the bookmark of what the source held before. What was
         *     written since is bookmarked in turn.
         */
        post: operations["undo_restore"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows who one is and what that allows, with a session as with a token. */
        get: operations["show_session"];
        put?: never;
        /**
         * Signs in: the answer sets the cookie `__Host-bcdr-session`. A session that the browser had before
         *     ends. Which of name and password was wrong is not said, and failures are answered later and later.
         */
        post: operations["sign_in"];
        /** Signs out: the session ends here, whatever becomes of its cookie. */
        delete: operations["sign_out"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Changes the own password. All other sessions of the user end; this one goes on under a new cookie. */
        put: operations["change_own_password"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/setup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Says whether there is an administrator yet, so that a console knows which page comes first. Anybody
         *     may ask.
         */
        get: operations["show_setup"];
        put?: never;
        /**
         * Makes the first user, an administrator, with the secret that the initialisation printed. It works
         *     once, and not any more when somebody else made an administrator.
         */
        post: operations["set_up"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows the installation and this process. */
        get: operations["show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists tokens, oldest first, also those that have ended. */
        get: operations["list_tokens"];
        put?: never;
        /** Makes a token. Its secret is in the answer and nowhere else. */
        post: operations["create_token"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revokes a token: the next request with it is refused. */
        delete: operations["revoke_token"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists users, by name. */
        get: operations["list_users"];
        put?: never;
        /** Makes a user. */
        post: operations["create_user"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{user}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a user. */
        get: operations["show_user"];
        put?: never;
        post?: never;
        /**
         * Removes a user for good; the name can be given again, the id never is. The last enabled
         *     administrator stays.
         */
        delete: operations["remove_user"];
        options?: never;
        head?: never;
        /**
         * Changes a user's role, or refuses and allows signing in. Either ends the user's sessions. The last
         *     enabled administrator stays one.
         */
        patch: operations["change_user"];
        trace?: never;
    };
    "/api/v1/users/{user}/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Sets a user's password; the user's sessions end. */
        put: operations["set_user_password"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/views": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists open views, oldest first. */
        get: operations["list_views"];
        put?: never;
        /**
         * Opens a view of a point. It stays at its address, also over a restart, until it is closed or its
         *     lease is over.
         */
        post: operations["open_view"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/views/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a view. */
        get: operations["show_view"];
        put?: never;
        post?: never;
        /** Closes a view. Its readers are disconnected. */
        delete: operations["close_view"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/volumes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists volumes, group by group, in the order of their disks. */
        get: operations["list_volumes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/volumes/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a volume. */
        get: operations["show_volume"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Who takes an alert on says what is done about it. */
        AcknowledgeAlert: {
            /** @description What is said about it. */
            note?: string | null;
        };
        /** @description What may be done with an object now, and if not, why not. */
        Action: {
            /** @description Whether a request for it would be accepted now. */
            allowed: boolean;
            /** @description The verb, as in the path of its route. */
            name: string;
            /** @description Why it is not allowed. */
            reason?: string | null;
            /** @description What makes it allowed. */
            remedy?: string | null;
        };
        /** @description An alert: a condition that was noticed, with its life. */
        Alert: {
            acknowledged?: components["schemas"]["AlertAcknowledgement"] | null;
            /** @description What may be done with it now, and why not. */
            allowed_actions: components["schemas"]["Action"][];
            /** @description What the code means. */
            cause: string;
            /**
             * Format: date-time
             * @description When it was over; null while it is not.
             */
            cleared_at?: string | null;
            /** @description The stable code that programs match on. */
            code: string;
            /** @description What was seen last. */
            detail: string;
            /** @description Where the documentation speaks of it. */
            docs: string;
            /** @description Its id. */
            id: string;
            muted?: components["schemas"]["AlertMute"] | null;
            /** @description What it is about. */
            object: components["schemas"]["AlertObject"];
            /**
             * Format: int32
             * @description How often it came, the first included.
             */
            occurrences: number;
            /**
             * Format: date-time
             * @description When it was raised.
             */
            raised_at: string;
            /** @description What to do about it. */
            remedy: string;
            /** @description How bad it is now. */
            severity: components["schemas"]["AlertSeverity"];
            /** @description How it stands. */
            state: components["schemas"]["AlertState"];
            unjudged?: components["schemas"]["AlertUnjudged"] | null;
        };
        /** @description Somebody took an alert on. */
        AlertAcknowledgement: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description Who. */
            by: string;
            /** @description What was said. */
            note?: string | null;
        };
        /** @description A channel, and whether what is told arrives. */
        AlertChannel: {
            /** @description It is told these codes only; all when there is none. */
            codes: string[];
            /**
             * Format: date-time
             * @description Since when alerts, or anything at all, are not taken; null while all is well.
             */
            failing_since?: string | null;
            /**
             * Format: int32
             * @description Messages given up since an alert was taken last.
             */
            given_up: number;
            /**
             * Format: int64
             * @description Seconds from one sign of life to the next; null without.
             */
            heartbeat_every_seconds?: number | null;
            /** @description How it tells: `webhook`, `email`, `dingtalk` or `wecom`. */
            kind: string;
            last_failure?: components["schemas"]["AlertChannelFailure"] | null;
            /**
             * Format: date-time
             * @description When something was taken last; null when nothing ever was.
             */
            last_success_at?: string | null;
            /** @description It is told what is at least this bad. */
            minimum_severity: components["schemas"]["AlertSeverity"];
            /** @description Its name in the configuration. */
            name: string;
            /** @description Messages that are to be sent. */
            pending: number;
        };
        /** @description What went wrong last at a channel. */
        AlertChannelFailure: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description What. */
            error: string;
        };
        /** @description All channels. */
        AlertChannels: {
            /** @description By name. */
            items: components["schemas"]["AlertChannel"][];
        };
        /** @description What came of a test. */
        AlertChannelTest: {
            /** @description The channel. */
            channel: string;
            /** @description Whether the message was taken. */
            delivered: boolean;
            /** @description Why not; null when it was. */
            error?: string | null;
            /**
             * Format: int64
             * @description How long it took, in milliseconds.
             */
            took_ms: number;
        };
        /** @description One message about an alert, for one channel. */
        AlertDelivery: {
            /**
             * Format: date-time
             * @description When that came.
             */
            at: string;
            /**
             * Format: int32
             * @description How often it was sent.
             */
            attempts: number;
            /** @description The channel. */
            channel: string;
            /**
             * Format: date-time
             * @description When it was taken or given up; null while it is pending.
             */
            ended_at?: string | null;
            /** @description By which the receiver knows it again. */
            id: string;
            /** @description What is told: `raised`, `escalated`, `reopened`, `cleared` or `reminder`. */
            kind: string;
            /** @description What came of the last time, if it was not taken. */
            last_error?: string | null;
            /** @description How it stands. */
            state: components["schemas"]["AlertDeliveryState"];
        };
        /**
         * @description How a delivery stands.
         * @enum {string}
         */
        AlertDeliveryState: "pending" | "delivered" | "given_up";
        /** @description An alert with what happened to it and how it was told. */
        AlertDetail: components["schemas"]["Alert"] & {
            /** @description Its messages, the oldest first; the oldest 1000. */
            deliveries: components["schemas"]["AlertDelivery"][];
            /** @description What happened to it, the oldest first; the newest 64 entries. */
            history: components["schemas"]["AlertEntry"][];
        };
        /** @description Something that happened to an alert. */
        AlertEntry: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description Who did it; null where nobody did. */
            by?: string | null;
            /**
             * @description What: `raised`, `escalated`, `eased`, `reopened`, `cleared`, `unknown`, `known`,
             *     `acknowledged`, `muted`, `unmuted` or `told`.
             */
            event: string;
            /** @description What was said or seen. */
            note?: string | null;
            /** @description As what it was told; null for other events. */
            told_as?: string | null;
        };
        /** @description What is not told for a while. */
        AlertMute: {
            /**
             * Format: date-time
             * @description When it was asked for.
             */
            at: string;
            /** @description Who asked for it. */
            by: string;
            /** @description Why. */
            reason: string;
            /** @description What it covers: `alert`, `code` or `object`. */
            scope: string;
            /**
             * Format: date-time
             * @description When it ends.
             */
            until: string;
        };
        /**
         * @description What a mute covers.
         * @enum {string}
         */
        AlertMuteScope: "alert" | "code" | "object";
        /** @description What an alert is about. */
        AlertObject: {
            /** @description Its id. */
            id: string;
            /** @description `installation`, `group`, `volume`, `certificate` or `channel`. */
            kind: string;
            /** @description What people call it. */
            name: string;
        };
        /**
         * @description How bad it is.
         * @enum {string}
         */
        AlertSeverity: "warning" | "critical";
        /**
         * @description How an alert stands.
         * @enum {string}
         */
        AlertState: "raised" | "acknowledged" | "cleared";
        /** @description An alert whose condition cannot be judged at the moment. */
        AlertUnjudged: {
            /**
             * Format: date-time
             * @description Since when.
             */
            since: string;
            /** @description Why. */
            why: string;
        };
        /** @description Who did something. */
        AuditActor: {
            /** @description The id, where there is one. */
            id?: string | null;
            /** @description `user`, `token`, `system`, or `unknown` for a client that did not prove who it is. */
            kind: string;
            /** @description The name. */
            name: string;
        };
        /** @description An entry of the audit log. */
        AuditEntry: {
            /** @description The operation of this API by its `operationId`, or what the product did. */
            action: string;
            /** @description Who did it. */
            actor: components["schemas"]["AuditActor"];
            /**
             * Format: date-time
             * @description When it was written.
             */
            at: string;
            /**
             * Format: int64
             * @description The number of the entry with which it began.
             */
            began?: number | null;
            /** @description What was asked for, in short. */
            changes: {
                [key: string]: string;
            };
            /** @description The code of the problem that was answered. */
            code?: string | null;
            /**
             * Format: int64
             * @description How many alike it stands for.
             */
            count: number;
            /** @description More about it. */
            detail?: string | null;
            /** @description The hash over it and all before it. */
            hash: string;
            /** @description A BLAKE3 digest of the idempotency key. */
            idempotency?: string | null;
            /** @description Its id or name. */
            object?: string | null;
            /** @description The kind of what it was done to. */
            object_kind?: string | null;
            /**
             * @description What came of it: `begun` (another entry says how it ended), `allowed`, `refused`, `failed`, or
             *     `unknown` when the process ended before.
             */
            outcome: string;
            /** @description The id of the request. */
            request?: string | null;
            /**
             * Format: int64
             * @description Its number; the first is 1, and there are no gaps.
             */
            sequence: number;
            /**
             * @description The id of the token, or one that stands for the session: the same in all entries of a session,
             *     and of no use to whoever wants to take it over.
             */
            session?: string | null;
            /** @description Where the request came from; null for what the product did by itself. */
            source?: string | null;
            /**
             * Format: int32
             * @description The HTTP status of the answer.
             */
            status?: number | null;
        };
        /** @description How far the audit log reaches. */
        AuditHead: {
            /**
             * Format: int64
             * @description Its bytes, as they were within the last minute.
             */
            bytes: number;
            /** @description What was not as it had been written when this process started. */
            damage: string[];
            /** @description The hash over it and all before it. */
            hash: string;
            /** @description The key that signs, as PEM; null while there is none. */
            key?: string | null;
            /**
             * Format: int64
             * @description The number of the newest entry; 0 before the first.
             */
            sequence: number;
            /**
             * @description The same, signed, in the form of the log; null while there is no key. To be kept elsewhere: the
             *     verifier compares a log with it.
             */
            signed?: Record<string, never> | null;
            /**
             * @description Why entries cannot be written; null while they can. While the log cannot even be opened, the
             *     number and the hash are those that were signed last.
             */
            trouble?: string | null;
            /** @description That it takes much of the space that is kept free on its disk; null while it does not. */
            warning?: string | null;
        };
        /** @description A page of entries. */
        AuditPage: {
            /** @description The entries. */
            items: components["schemas"]["AuditEntry"][];
            /**
             * @description Where the list goes on; null at its end. A page may hold fewer than asked for and still go on,
             *     when much had to be looked through.
             */
            next_cursor?: string | null;
        };
        /** @description A branch: a writable image of a point with a history of its own, or what is kept of one. */
        Branch: {
            /** @description What may be done with it now, and why not. */
            allowed_actions: components["schemas"]["Action"][];
            /** @description The branch it lies above; null when that is the group's own history. */
            base_branch?: string | null;
            /** @description The point it began as. */
            base_point: string;
            /** @description Why it cannot be used, or takes no more writes. */
            cause?: string | null;
            /**
             * Format: date-time
             * @description When it was made.
             */
            created_at: string;
            /**
             * Format: int64
             * @description The group's generation when it was made.
             */
            generation: number;
            /** @description Its group. */
            group: string;
            /** @description The name of its group. */
            group_name: string;
            /** @description Its id. */
            id: string;
            latest_point?: components["schemas"]["Point"] | null;
            /** @description The failover, failback or restore that it was made for. */
            made_for?: string | null;
            /** @description What it is for. */
            reason: components["schemas"]["BranchReason"];
            /** @description How it stands. */
            state: components["schemas"]["BranchState"];
        };
        /**
         * @description What a branch is for.
         * @enum {string}
         */
        BranchReason: "failover" | "left_behind" | "copy";
        /**
         * @description How a branch stands.
         * @enum {string}
         */
        BranchState: "ready" | "sealed" | "removing" | "unusable";
        /** @description The canary against the point. */
        CanaryReport: {
            /**
             * Format: double
             * @description How much older than the point it is, in seconds on the source's and the point's clocks;
             *     negative when the canary bears the later time. Absent when the point's time is unknown.
             */
            behind_point_seconds?: number | null;
            /** @description The line the machine showed. */
            line: string;
            /**
             * Format: int64
             * @description The canary's number.
             */
            sequence: number;
            /**
             * Format: date-time
             * @description When the canary was written, on the source's clock.
             */
            time: string;
        };
        /** @description The capture at the source, as its gateway relays it. */
        CaptureBody: {
            /** @description Whether it is connected to its gateway, and that to this receiver. */
            connected: boolean;
            /**
             * Format: int64
             * @description Bytes of its journal.
             */
            journal_capacity_bytes?: number | null;
            /**
             * Format: int64
             * @description Bytes of its journal that are in use.
             */
            journal_used_bytes?: number | null;
            /**
             * Format: date-time
             * @description When it reported last, on its own clock.
             */
            reported_at?: string | null;
            /**
             * Format: date-time
             * @description Since when, on the gateway's clock.
             */
            since?: string | null;
            /**
             * Format: int64
             * @description Bytes that wait in the gateway's spool.
             */
            spooled_bytes?: number | null;
            standing?: components["schemas"]["SourceStanding"] | null;
        };
        /** @description The clean-up and its proof. */
        CleanupReport: {
            /** @description Whether every item is proven. */
            complete: boolean;
            /** @description What was looked for. */
            items: components["schemas"]["ProofItem"][];
        };
        /** @description What a failover or failback does when nobody decides. */
        CommitPolicy: "manual" | {
            /** @description It is made final. */
            auto_commit: {
                /**
                 * Format: int32
                 * @description After this many seconds.
                 */
                after_seconds: number;
            };
        } | {
            /** @description It is undone. */
            auto_rollback: {
                /**
                 * Format: int32
                 * @description After this many seconds.
                 */
                after_seconds: number;
            };
        };
        /**
         * @description Everything that is set over the API. A part that is left out is left alone by an apply, whatever
         *     else is asked for.
         */
        Configuration: {
            /** @description When groups are drilled, at most one schedule for each. */
            drill_schedules?: components["schemas"]["ConfigurationDrillSchedule"][] | null;
            /** @description Groups. One that is not there is made; none is changed or removed. */
            groups?: components["schemas"]["NewGroup"][] | null;
            /** @description Recovery plans, as they are applied one by one. */
            plans?: Record<string, never>[] | null;
            /** @description Users, without their passwords. None is made. */
            users?: components["schemas"]["ConfigurationUser"][] | null;
            /**
             * Format: int32
             * @description The version of this form: 1.
             */
            version: number;
        };
        /** @description What came of a document. */
        ConfigurationApplied: {
            /** @description Every object of the document, and those that are removed, in the order in which changes are made. */
            changes: components["schemas"]["ConfigurationChange"][];
            /** @description Whether nothing failed. */
            complete: boolean;
            /** @description Whether nothing was to be changed. */
            dry_run: boolean;
            /**
             * @description The ETag of the configuration as it is now; null for who may not export it, and when
             *     it could not be read again.
             */
            etag?: string | null;
        };
        /** @description An object, and what became of it. */
        ConfigurationChange: {
            /** @description What the document asks for. */
            change: components["schemas"]["ConfigurationChangeKind"];
            /** @description The fields that differ, of one that is updated. */
            fields: components["schemas"]["ConfigurationField"][];
            /** @description Its name. */
            name: string;
            /** @description What it is. */
            object: components["schemas"]["ConfigurationObject"];
            /** @description What came of it. */
            outcome: components["schemas"]["ConfigurationOutcome"];
            problem?: components["schemas"]["Problem"] | null;
        };
        /**
         * @description What becomes of an object.
         * @enum {string}
         */
        ConfigurationChangeKind: "create" | "update" | "remove" | "unchanged";
        /** @description When a group is drilled. */
        ConfigurationDrillSchedule: {
            /** @description The time of the day, `HH:MM`; goes with whole days only. */
            at?: string | null;
            /**
             * Format: int64
             * @description Seconds from one drill to the next: an hour to 731 days.
             */
            every_seconds: number;
            /** @description The name of the group. */
            group: string;
            /**
             * Format: int32
             * @description Seconds for which the machine is held after its last rung; 0 by default, a day at most.
             */
            hold_seconds?: number;
            launch_settings?: components["schemas"]["LaunchSettings"] | null;
            /** @description Which point is booted; the latest by default. */
            point?: components["schemas"]["PointChoice"];
            /** @description The time zone of that, such as `Asia/Shanghai`; UTC by default. */
            zone?: string;
        };
        /** @description A field that is not as it was. */
        ConfigurationField: {
            /** @description What it is then; null where there is nothing. */
            after: unknown;
            /** @description What it is before the change; null where there is nothing. */
            before: unknown;
            /** @description Its name, as a dotted path; a step of a plan is named by its id. */
            name: string;
        };
        /**
         * @description What a change is of.
         * @enum {string}
         */
        ConfigurationObject: "group" | "drill_schedule" | "plan" | "user";
        /**
         * @description What came of a change.
         * @enum {string}
         */
        ConfigurationOutcome: "nothing" | "planned" | "applied" | "failed" | "not_applied";
        /** @description Somebody who signs in. */
        ConfigurationUser: {
            /** @description Whether signing in is refused; false by default. */
            disabled?: boolean;
            /** @description The name. */
            name: string;
            /** @description What the user may do. */
            role: components["schemas"]["Role"];
        };
        /** @description The typed confirmation of a live verb. */
        Confirmation: {
            /** @description The group's name, as somebody typed it. */
            confirm: string;
        };
        /** @description A disk that may be overwritten. */
        ConfirmedDisk: {
            /** @description The serial of the disk at home, as somebody typed it. */
            serial: string;
            /** @description The volume, by id or name. */
            volume: string;
        };
        /** @description The disks at home that may be overwritten. */
        ConfirmedDisks: {
            /** @description One per volume of the group; of a restore one per disk that was replaced. */
            disks: components["schemas"]["ConfirmedDisk"][];
        };
        /**
         * @description The controller the disks hang on.
         * @enum {string}
         */
        DiskBus: "virtio" | "ahci";
        /** @description A drill: a point booted in isolation, judged, and removed again. */
        Drill: {
            /** @description What may be done with it now. */
            allowed_actions: components["schemas"]["Action"][];
            /**
             * @description The files it kept; `drill.json` and what was made of it (`report.json`, `report.html`,
             *     `runbook.html`) besides.
             */
            evidence: components["schemas"]["EvidenceFile"][];
            /**
             * Format: date-time
             * @description When it ended.
             */
            finished_at?: string | null;
            /** @description Its group. */
            group: string;
            /** @description The name of its group. */
            group_name: string;
            /**
             * Format: int32
             * @description Seconds for which the machine is held after its last rung.
             */
            hold_seconds: number;
            /** @description Its id. */
            id: string;
            /** @description Its job. */
            job: string;
            /** @description The point it boots. */
            point: components["schemas"]["Point"];
            progress?: components["schemas"]["DrillProgress"] | null;
            /** @description Why it did not pass. */
            reason?: string | null;
            report?: components["schemas"]["DrillReport"] | null;
            /**
             * Format: date-time
             * @description When it was asked for.
             */
            requested_at: string;
            /** @description How it stands. */
            state: components["schemas"]["DrillState"];
            /** @description The view it boots from, while it is open. */
            view?: string | null;
        };
        /** @description The drill axis of a group. */
        DrillAxisBody: {
            /** @description The newest drill that runs; without one, a drill that left something behind. */
            drill?: string | null;
            /**
             * Format: date-time
             * @description When the last one passed; null when none did.
             */
            last_passed_at?: string | null;
            /**
             * Format: date-time
             * @description Since when one that passed is missing by the group's schedule; null while it is not.
             */
            overdue_since?: string | null;
            /**
             * Format: int32
             * @description How many run, or wait for a free place.
             */
            running: number;
            /** @description The state. */
            state: components["schemas"]["DrillAxisState"];
        };
        /**
         * @description What the drill of a group does.
         * @enum {string}
         */
        DrillAxisState: "none" | "preparing" | "running" | "cleaning" | "cleanup_failed";
        /** @description A step of a running drill. */
        DrillProgress: {
            /**
             * Format: date-time
             * @description When this was so.
             */
            at: string;
            /** @description The drill's id. */
            drill: string;
            /** @description The phase it is in. */
            phase: components["schemas"]["Phase"];
            /** @description All rungs so far, lowest first; empty before the boot. */
            rungs: components["schemas"]["RungResult"][];
        };
        /** @description Everything about one drill. */
        DrillReport: {
            canary?: components["schemas"]["CanaryReport"] | null;
            /** @description The proof that nothing is left. */
            cleanup: components["schemas"]["CleanupReport"];
            /** @description The drill's id. */
            drill: string;
            /** @description The files kept, with their hashes. */
            evidence: components["schemas"]["EvidenceFile"][];
            /**
             * Format: date-time
             * @description When the report was written.
             */
            finished_at: string;
            /** @description The protection group. */
            group: string;
            /** @description Whether the instance could reach a network. */
            isolation: components["schemas"]["IsolationReport"];
            launch_settings?: components["schemas"]["LaunchSettings"] | null;
            /**
             * Format: int64
             * @description The most bytes the throw-away disks occupied.
             */
            overlay_bytes: number;
            /** @description The phases that were entered. */
            phases: components["schemas"]["PhaseReport"][];
            /** @description The point that was booted. */
            point: components["schemas"]["PointDescription"];
            precheck?: components["schemas"]["PrecheckReport"] | null;
            /** @description Why, unless it passed. */
            reason?: string | null;
            /** @description How long each step of the recovery took. */
            recovery_times: components["schemas"]["RecoveryTimes"];
            replica?: components["schemas"]["ReplicaReport"] | null;
            /**
             * Format: int32
             * @description Version of this form.
             */
            report_version: number;
            /**
             * Format: date-time
             * @description When it was requested.
             */
            requested_at: string;
            /** @description How it ended. */
            result: components["schemas"]["DrillResult"];
            /** @description All rungs, lowest first; empty when the instance was never started. */
            rungs: components["schemas"]["RungResult"][];
            /** @description The target it ran on. */
            target: string;
        };
        /**
         * @description How a drill ended.
         * @enum {string}
         */
        DrillResult: "passed" | "failed" | "cancelled" | "cleanup_failed";
        /** @description When a group is drilled. */
        DrillSchedule: {
            /** @description The time of the day, `HH:MM:SS`; null when none was set. */
            at?: string | null;
            /**
             * Format: int64
             * @description Seconds from one drill to the next.
             */
            every_seconds: number;
            /** @description The group. */
            group: string;
            /** @description The name of the group. */
            group_name: string;
            /**
             * Format: int32
             * @description Seconds for which the machine is held after its last rung.
             */
            hold_seconds: number;
            /** @description The last drill it started. */
            last_drill?: string | null;
            launch_settings?: components["schemas"]["LaunchSettings"] | null;
            /**
             * Format: date-time
             * @description When the next drill is due.
             */
            next_at?: string | null;
            /**
             * Format: date-time
             * @description Since when a drill that passed is missing; null while it is not.
             */
            overdue_since?: string | null;
            /** @description Which point is booted. */
            point: components["schemas"]["PointChoice"];
            /**
             * Format: date-time
             * @description When this was set.
             */
            set_at: string;
            /** @description Why the last start failed; null since one succeeded. */
            trouble?: string | null;
            /** @description The time zone of that. */
            zone: string;
        };
        /**
         * @description How a drill stands.
         * @enum {string}
         */
        DrillState: "queued" | "preparing" | "running" | "cleaning" | "passed" | "failed" | "cancelled" | "cleanup_failed";
        /** @description Something changed about an object: read it again. */
        Event: {
            /**
             * @description The group it belongs to; null when it belongs to none or to several, and for an alert of a
             *     volume, whose sentence names the volume with its group.
             */
            group?: string | null;
            /** @description The name of that group. */
            group_name?: string | null;
            /** @description Its id; later events have greater ids, as text too. */
            id: string;
            /** @description What happened. After a `reset`, read everything again that is shown. */
            kind: components["schemas"]["EventKind"];
            object?: components["schemas"]["EventObject"] | null;
            /** @description The object's id, or its name where that is what names it; null for a reset. */
            object_id?: string | null;
            /** @description What happened, in a sentence for people. */
            summary: string;
            /**
             * Format: date-time
             * @description When it was told.
             */
            time: string;
        };
        /**
         * @description What happened.
         * @enum {string}
         */
        EventKind: "changed" | "removed" | "reset";
        /**
         * @description What an event is about.
         * @enum {string}
         */
        EventObject: "group" | "job" | "drill" | "drill_schedule" | "placement" | "failover" | "failback" | "restore" | "plan" | "plan_run" | "branch" | "view" | "readiness" | "report" | "alert" | "alert_mutes" | "user" | "token";
        /** @description A file that was kept. */
        EvidenceFile: {
            /** @description BLAKE3 hash, in hexadecimal. */
            blake3: string;
            /**
             * Format: int64
             * @description Length in bytes.
             */
            bytes: number;
            /** @description Name in the drill's evidence directory. */
            name: string;
        };
        /** @description A failback: production of a group brought home. */
        Failback: {
            /** @description What may be done with it now. */
            allowed_actions: components["schemas"]["Action"][];
            /** @description The branch that production runs on. */
            branch: string;
            /** @description What happens when nobody decides. */
            commit_policy: components["schemas"]["CommitPolicy"];
            /**
             * Format: int64
             * @description Seconds until that happens, or until the next round; null when nothing counts down.
             */
            continues_in_seconds?: number | null;
            /** @description The disks found at home; they are confirmed by these serials. */
            disks: components["schemas"]["HomeDisk"][];
            end?: components["schemas"]["FailbackEnd"] | null;
            failure?: components["schemas"]["Failure"] | null;
            /**
             * Format: date-time
             * @description When it ended.
             */
            finished_at?: string | null;
            /** @description The point where the two histories part. */
            fork: string;
            /**
             * Format: int64
             * @description The generation of its change of authority.
             */
            generation?: number | null;
            /** @description Its group. */
            group: string;
            /** @description The name of its group. */
            group_name: string;
            /** @description The branch with what home wrote after a cutover that was undone. */
            home_writes?: string | null;
            /** @description Its id. */
            id: string;
            /** @description Its job. */
            job: string;
            /** @description The branch with what home wrote after the fork; null when that was nothing. */
            left_behind?: string | null;
            method?: components["schemas"]["SeedMethod"] | null;
            /** @description Who asked. */
            operator: string;
            /** @description Whether home was proven equal to the branch, by digest, at the cutover. */
            proven_equal: boolean;
            /**
             * Format: int64
             * @description Bytes written at the target during the last round.
             */
            remaining_bytes?: number | null;
            /**
             * Format: date-time
             * @description When it was asked for.
             */
            requested_at: string;
            /** @description What is at home to begin with. */
            seed: components["schemas"]["Seed"];
            /** @description Whether home was brought to the branch's present at least once. */
            seeded: boolean;
            /**
             * Format: int64
             * @description Bytes sent by all rounds.
             */
            sent_bytes: number;
            /** @description What it does there. */
            stage: components["schemas"]["Stage"];
            /** @description The step it is in, or ended in. */
            step: components["schemas"]["Step"];
            /** @description Every step that was begun. */
            steps: components["schemas"]["PlacementStep"][];
            /** @description Whether it is on its way back. */
            turned_back: boolean;
        };
        /**
         * @description How a failback ended.
         * @enum {string}
         */
        FailbackEnd: "committed" | "rolled_back" | "failed" | "cancelled" | "source_kept";
        /** @description A failover: production of a group brought to the target. */
        Failover: {
            /** @description What may be done with it now. */
            allowed_actions: components["schemas"]["Action"][];
            /** @description The branch that the machine runs on. */
            branch?: string | null;
            /** @description What happens when nobody decides. */
            commit_policy: components["schemas"]["CommitPolicy"];
            /**
             * Format: int64
             * @description Seconds until that happens; null when nothing counts down.
             */
            decides_in_seconds?: number | null;
            end?: components["schemas"]["FailoverEnd"] | null;
            failure?: components["schemas"]["Failure"] | null;
            /**
             * Format: date-time
             * @description When it ended.
             */
            finished_at?: string | null;
            /**
             * Format: int64
             * @description The generation of its change of authority.
             */
            generation?: number | null;
            /** @description Its group. */
            group: string;
            /** @description The name of its group. */
            group_name: string;
            /** @description Its id. */
            id: string;
            /** @description The machine. */
            instance?: string | null;
            /**
             * Format: date-time
             * @description When production stopped, as the operator knew it.
             */
            interrupted_at?: string | null;
            /** @description Its job. */
            job: string;
            ladder?: components["schemas"]["FailoverLadder"] | null;
            /** @description How the machine looks. */
            launch_settings: components["schemas"]["LaunchSettings"];
            loss?: components["schemas"]["LossWindow"] | null;
            /** @description Whether production was to be stopped in order first. */
            mode: components["schemas"]["FailoverMode"];
            /** @description Its network cards. */
            networks: components["schemas"]["NetworkCard"][];
            /** @description Who asked. */
            operator: string;
            /** @description The pinned point. */
            point?: string | null;
            /**
             * Format: date-time
             * @description The time of that point.
             */
            point_time?: string | null;
            /**
             * Format: date-time
             * @description When it was asked for.
             */
            requested_at: string;
            /** @description What it does there. */
            stage: components["schemas"]["Stage"];
            /** @description The step it is in, or ended in. */
            step: components["schemas"]["Step"];
            /** @description Every step that was begun. */
            steps: components["schemas"]["PlacementStep"][];
            /** @description Whether it is on its way back. */
            turned_back: boolean;
        };
        /**
         * @description How a failover ended.
         * @enum {string}
         */
        FailoverEnd: "committed" | "rolled_back" | "failed" | "cancelled" | "source_kept";
        /** @description What became of a ladder. */
        FailoverLadder: {
            /** @description What was observed, in a sentence. */
            detail: string;
            /** @description Whether every awaited rung was passed. */
            passed: boolean;
            /** @description The rungs, lowest first; empty once the machine is gone. */
            rungs: components["schemas"]["RungResult"][];
        };
        /**
         * @description Whether production is stopped in order first.
         * @enum {string}
         */
        FailoverMode: "planned" | "emergency";
        /** @description What a failover would boot and lose. */
        FailoverPreview: {
            /** @description What would be lost by it. */
            loss: components["schemas"]["LossWindow"];
            /** @description The point that would be booted. */
            point: components["schemas"]["Point"];
            source?: components["schemas"]["SourceStanding"] | null;
            /** @description The loss in a sentence. */
            summary: string;
        };
        /** @description Why a step failed. */
        Failure: {
            /** @description What happened. */
            cause: string;
            /** @description The stable code that programs match on. */
            code: string;
            /** @description What to do about it. */
            remedy: string;
            /** @description The step. */
            step: components["schemas"]["Step"];
        };
        /**
         * @description What starts the boot loader.
         * @enum {string}
         */
        Firmware: "bios" | "uefi";
        /** @description The gateway that feeds a group. */
        GatewayBody: {
            /** @description Whether its session is up. */
            connected: boolean;
            /** @description Who it is. */
            peer?: string | null;
            /**
             * Format: date-time
             * @description Since when that is so.
             */
            since: string;
        };
        /** @description A protection group: the unit of policy and consistency. */
        Group: {
            /** @description What may be done with it now, and why not. */
            allowed_actions: components["schemas"]["Action"][];
            /** @description The capture at the source. */
            capture: components["schemas"]["CaptureBody"];
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /** @description What its drill does. */
            drill: components["schemas"]["DrillAxisBody"];
            /** @description The gateway that feeds the group. */
            gateway: components["schemas"]["GatewayBody"];
            /**
             * Format: int64
             * @description Its fencing number.
             */
            generation: number;
            /** @description How well it is. */
            health: components["schemas"]["Health"];
            /** @description Its id. */
            id: string;
            latest_point?: components["schemas"]["LatestPoint"] | null;
            /** @description Its name, unique in the installation. */
            name: string;
            placement?: components["schemas"]["PlacementState"] | null;
            /** @description The positions between which lag is measured. */
            positions: components["schemas"]["Positions"];
            /** @description Whether its newest inspected point would boot. */
            readiness: components["schemas"]["ReadinessAxis"];
            /** @description What the replication does. */
            replication: components["schemas"]["Replication"];
            /** @description Whether the age of the newest point is known. */
            rpo_known: boolean;
            /**
             * Format: double
             * @description The age of the newest point in seconds, measured; null when it is not known.
             */
            rpo_seconds?: number | null;
            /** @description The stream that its capture feeds. */
            stream: string;
            /** @description Its volumes, in the order of the machine's disks. */
            volumes: components["schemas"]["GroupVolume"][];
        };
        /** @description A volume in its group. */
        GroupVolume: {
            /** @description Its id. */
            id: string;
            /** @description Its name, unique in its group. */
            name: string;
            /**
             * Format: int32
             * @description The number the stream uses; null before the capture told it.
             */
            number?: number | null;
            /**
             * Format: int64
             * @description Its size in bytes.
             */
            size_bytes?: number | null;
            /**
             * Format: int64
             * @description Bytes written by the application since the capture started; null while it is not connected.
             */
            written_bytes?: number | null;
        };
        /** @description How well a group is, and why. */
        Health: {
            /** @description The worst of the reasons. */
            level: components["schemas"]["HealthLevel"];
            /** @description The reasons; none when all is well. */
            reasons: components["schemas"]["HealthReason"][];
        };
        /**
         * @description How well a group is.
         * @enum {string}
         */
        HealthLevel: "ok" | "unknown" | "warning" | "critical";
        /** @description One reason for a health level. */
        HealthReason: {
            /**
             * @description The stable code that programs match on: `unprotected`, `initial_sync`, `catching_up`,
             *     `disconnected`, `source_state_unknown`, `stalled`, `rpo_unknown`, `production_at_target`,
             *     `production_being_moved`, `placement_unknown`, `split_brain_suspected`, `volume_not_followed`,
             *     `replica_damaged`, `cleanup_failed` or `drill_overdue`.
             */
            code: string;
            /** @description The reason in words. */
            detail: string;
        };
        /** @description A disk found at home. */
        HomeDisk: {
            /** @description Whether it holds nothing but zeroes and holes. */
            blank: boolean;
            /** @description Whether an operator allowed it to be overwritten. */
            confirmed: boolean;
            /** @description By which an operator recognises it. */
            serial: string;
            /**
             * Format: int64
             * @description Its size in bytes.
             */
            size_bytes: number;
            /** @description The volume it is for. */
            volume: string;
            /** @description The volume's name. */
            volume_name?: string | null;
        };
        /** @description Whether the instance could reach a network, from all observations together. */
        IsolationReport: {
            decisive?: components["schemas"]["IsolationSample"] | null;
            /**
             * Format: int32
             * @description How many observations were made.
             */
            observations: number;
            /** @description Isolated only if at least one observation said so and none said otherwise. */
            verdict: components["schemas"]["IsolationVerdict"];
        };
        /** @description One observation of an instance's isolation, with its evidence. */
        IsolationSample: {
            /** @description The instance's own network configuration as its hypervisor reports it. */
            network?: string | null;
            /** @description Why, in a sentence. */
            reason: string;
            /** @description Every socket and network device the instance's process had open. */
            sockets: components["schemas"]["SocketEvidence"][];
            /** @description The verdict. */
            verdict: components["schemas"]["IsolationVerdict"];
        };
        /**
         * @description Whether an instance can reach a network.
         * @enum {string}
         */
        IsolationVerdict: "isolated" | "not_isolated" | "unknown";
        /** @description A job: work that outlasts its request. */
        Job: {
            /**
             * Format: date-time
             * @description When it was asked for.
             */
            created_at: string;
            error?: components["schemas"]["JobError"] | null;
            /**
             * Format: date-time
             * @description When it ended.
             */
            finished_at?: string | null;
            /** @description The group it is about. */
            group: string;
            /** @description Its id. */
            id: string;
            /** @description What it does. */
            kind: components["schemas"]["JobKind"];
            /** @description What it does at the moment. */
            phase?: string | null;
            result?: components["schemas"]["JobResult"] | null;
            /**
             * Format: date-time
             * @description When it began.
             */
            started_at?: string | null;
            /** @description How it stands. */
            state: components["schemas"]["JobState"];
            /** @description What it is about in that group: a label, a drill's id, or a point's. */
            subject: string;
        };
        /** @description Why a job did not succeed. */
        JobError: {
            /** @description The stable code that programs match on. */
            code: string;
            /** @description What happened. */
            detail: string;
            /** @description What to do about it. */
            remedy?: string | null;
        };
        /**
         * @description What a job does.
         * @enum {string}
         */
        JobKind: "create_point" | "drill" | "failover" | "failback" | "restore" | "readiness";
        /** @description What came of a job. */
        JobResult: {
            /** @description Its drill. */
            drill?: string | null;
            point?: components["schemas"]["Point"] | null;
        };
        /**
         * @description How a job stands.
         * @enum {string}
         */
        JobState: "queued" | "running" | "succeeded" | "failed" | "cancelled" | "interrupted";
        /** @description A decision about a suspected split brain that is being carried out. */
        Keeping: {
            failure?: components["schemas"]["Failure"] | null;
            /** @description The site whose data is kept. */
            site: components["schemas"]["Site"];
            /** @description What it does there. */
            stage: components["schemas"]["Stage"];
            /** @description The step it is in. */
            step: components["schemas"]["Step"];
        };
        /**
         * @description Whether a key is there.
         * @enum {string}
         */
        KeyPresence: "present" | "missing";
        /** @description The newest point of a group. */
        LatestPoint: {
            /**
             * Format: date-time
             * @description Up to when the source is known not to have written anything more.
             */
            covers_until: string;
            /** @description Its id. */
            id: string;
            /** @description Its label. */
            label?: string | null;
            /**
             * Format: date-time
             * @description When its last record was captured.
             */
            time: string;
        };
        /**
         * @description How a recovered machine looks and how its boot is judged.
         *
         *     Every field has a default. Machines run under emulation (TCG): a hypervisor device that can be
         *     opened proves nothing about guests running in it.
         */
        LaunchSettings: {
            /**
             * Format: int32
             * @description Seconds from the start until the last rung; default 180, since emulation is slow.
             * @default 180
             */
            boot_timeout_seconds?: number;
            /**
             * Format: int32
             * @description Number of processors; default 2.
             * @default 2
             */
            cpus?: number;
            /**
             * @description Disk controller; default `virtio`.
             * @default virtio
             */
            disk_bus?: components["schemas"]["DiskBus"];
            /**
             * @description Volume names in the order of the machine's disks; the first is booted from. Volumes that are
             *     not named follow in the group's order. Empty by default.
             * @default []
             */
            disk_order?: string[];
            /**
             * @description Firmware; default `bios`.
             * @default bios
             */
            firmware?: components["schemas"]["Firmware"];
            /**
             * @description Chipset; default `q35`.
             * @default q35
             */
            machine?: components["schemas"]["Machine"];
            /**
             * Format: int32
             * @description Memory in MiB; default 1024.
             * @default 1024
             */
            memory_mib?: number;
            /**
             * Format: int32
             * @description How much the machine may write, over all disks, in MiB; default 8192. The drill fails when
             *     it writes more.
             * @default 8192
             */
            overlay_limit_mib?: number;
            /**
             * @description Whether its power is cut when it did not shut itself down by then, as for machines that do not
             *     hear the power button. What it had not flushed is lost then, as in a power failure. Without
             *     it the cutover is given up; default.
             * @default false
             */
            power_off?: boolean;
            /**
             * @description What is asked of the machine of a drill over its isolated network, after its login, and which
             *     scripts judge it, in a failover too. Nothing by default; then the cards of a drill's machine are
             *     connected to nothing at all.
             * @default {
             *       "guest_address": null,
             *       "guest_agent": false,
             *       "http": [],
             *       "network_address": false,
             *       "ports": [],
             *       "scripts": [],
             *       "timeout_seconds": 60
             *     }
             */
            probes?: components["schemas"]["Probes"];
            /**
             * @description How the rungs of the verification ladder are recognised.
             * @default {
             *       "canary": "",
             *       "canary_check": "",
             *       "failure": [
             *         "Kernel panic - not syncing",
             *         "Gave up waiting for root",
             *         "ALERT!\\s+\\S+\\s+does not exist",
             *         "VFS: Unable to mount root fs",
             *         "You are in (emergency|rescue) mode",
             *         "Entering emergency mode",
             *         "Give root password for maintenance",
             *         "Press Enter for maintenance",
             *         "Warning: Could not boot",
             *         "Failed to mount .*sysroot",
             *         "No bootable device",
             *         "No bootable option or device was found",
             *         "UEFI Interactive Shell",
             *         "Entering rescue mode",
             *         "grub rescue>",
             *         "error: unknown filesystem"
             *       ],
             *       "firmware": "SeaBIOS|GRUB|UEFI firmware|BdsDxe|Booting from|ISOLINUX|SYSLINUX|systemd-boot",
             *       "kernel": "Linux version \\d",
             *       "login": "\\blogin:(\\s|$)",
             *       "more_failure": [],
             *       "network_isolated": "",
             *       "network_leak": "",
             *       "root_mounted": "EXT[234]-fs.*mounted filesystem|XFS.*(Ending clean mount|Mounting V\\d)|BTRFS.*(mounting|first mount of) filesystem|VFS: Mounted root|Mounted .*sysroot|Switch(ing)? [Rr]oot"
             *     }
             */
            rungs?: components["schemas"]["RungPatterns"];
            /**
             * Format: int32
             * @description Seconds that a machine in production gets to shut itself down before a cutover home; default
             *     300.
             * @default 300
             */
            shut_down_seconds?: number;
        };
        /** @description One figure of a loss. */
        Loss: {
            /**
             * Format: int64
             * @description It is this much.
             */
            exactly: number;
        } | {
            /**
             * Format: int64
             * @description It is this much or more.
             */
            at_least: number;
        } | {
            /** @description It cannot be told. */
            unknown: components["schemas"]["UnknownLoss"];
        };
        /** @description What would be lost. */
        LossWindow: {
            /** @description Bytes written. */
            bytes: components["schemas"]["Loss"];
            /** @description Seconds of writes, rounded up. */
            seconds: components["schemas"]["Loss"];
        };
        /**
         * @description The chipset of the machine.
         * @enum {string}
         */
        Machine: "q35" | "pc";
        /** @description A token that was just made, with its secret. */
        MadeToken: components["schemas"]["Token"] & {
            /** @description The token itself: shown now and never again. */
            token: string;
        };
        /** @description A mute to be made. */
        MuteAlert: {
            /** @description Why. */
            reason: string;
            /** @description What it covers; the alert by default. */
            scope?: components["schemas"]["AlertMuteScope"];
            /**
             * Format: date-time
             * @description When it ends: later than now, within 90 days.
             */
            until: string;
        };
        /** @description One network card of a machine. */
        NetworkCard: {
            /**
             * @description Its hardware address, `xx:xx:xx:xx:xx:xx`, so that the machine recognises its own card; one
             *     is made up without it.
             * @default null
             */
            address?: string | null;
            /**
             * @description What it is connected to in a failover.
             * @default {
             *       "host_nat": {
             *         "forward": []
             *       }
             *     }
             */
            connection?: components["schemas"]["NetworkConnection"];
        };
        /** @description What a card is connected to in a failover. */
        NetworkConnection: "isolated" | {
            /**
             * @description A network of the machine's own behind the host's addresses: it reaches out by way of the
             *     host, and is reached by the ports named here.
             */
            host_nat: {
                /** @description Ports of the host that lead to ports of the machine. */
                forward?: components["schemas"]["PortForward"][];
            };
        };
        /** @description A drill to be started. */
        NewDrill: {
            /**
             * @description The point: its id or label, an RFC 3339 time for the newest point at or before it, or
             *     `latest`.
             */
            at: string;
            /** @description The group, by id or name. */
            group: string;
            /**
             * Format: int32
             * @description Seconds for which the machine is held after its last rung; 0 by default, a day at most.
             */
            hold_seconds?: number | null;
            launch_settings?: components["schemas"]["LaunchSettings"] | null;
        };
        /** @description A failback to be started. */
        NewFailback: {
            /** @description What happens when nobody decides after the cutover; nothing by default. */
            commit_policy?: components["schemas"]["CommitPolicy"];
            /** @description The group, by id or name. */
            group: string;
            /**
             * Format: int32
             * @description Seconds between two rounds of copying; 60 by default.
             */
            round_every_seconds?: number;
            /**
             * @description What is at home to begin with. What the original disk was written after the fork is kept
             *     first.
             */
            seed: components["schemas"]["Seed"];
        };
        /** @description A failover to be started. */
        NewFailover: {
            /**
             * @description The instant to boot: a point id, a label, an RFC 3339 time, or latest, the default. What is
             *     latest is decided behind the fence.
             */
            at?: string;
            /** @description What happens when nobody decides; nothing by default. */
            commit_policy?: components["schemas"]["CommitPolicy"];
            /** @description The group's name, as somebody typed it. */
            confirm: string;
            /** @description The group, by id or name. */
            group: string;
            /** @description When production stopped, as far as the operator knows: reports count from it. */
            interrupted_at?: string | null;
            /** @description The operator vouches that the source is isolated, although it was seen serving. */
            isolation_confirmed?: boolean;
            launch_settings?: components["schemas"]["LaunchSettings"] | null;
            /** @description Planned: the source stops writes and nothing is lost. Emergency: the source is not asked. */
            mode: components["schemas"]["FailoverMode"];
            /** @description Its network cards; one behind the host's addresses by default. */
            networks?: components["schemas"]["NetworkCard"][] | null;
        };
        /** @description A group to be made. */
        NewGroup: {
            /** @description Its name: 1 to 63 letters, digits, hyphens and underscores. */
            name: string;
            /** @description Its volumes, in the order of the machine's disks. */
            volumes: components["schemas"]["NewVolume"][];
        };
        /**
         * @description For which machine a point is inspected. What is not said is as in the launch settings of the group's
         *     drill schedule; without those as the last time, and at first a BIOS machine with virtio disks and one
         *     network card.
         */
        NewInspection: {
            disk_bus?: components["schemas"]["ReadinessDiskBus"] | null;
            firmware?: components["schemas"]["ReadinessFirmware"] | null;
            /**
             * Format: int32
             * @description How many network cards it has; at most 8.
             */
            network_cards?: number | null;
        };
        /** @description A password to be set. */
        NewPassword: {
            /**
             * Format: password
             * @description The password: 12 to 256 characters.
             */
            password: string;
        };
        /** @description A run to be started. */
        NewPlanRun: {
            /**
             * @description The one time of all groups (RFC 3339): each is recovered from its greatest point that is not
             *     after it. `latest`, the default, is the newest point of each. A planned run takes that only.
             */
            at?: string | null;
            /** @description The plan's name, as somebody typed it; for everything that is no drill. */
            confirm?: string | null;
            /** @description When production stopped, as far as the operator knows: reports count from it. */
            interrupted_at?: string | null;
            /** @description The operator vouches that all sources are isolated, although they were seen serving. */
            isolation_confirmed?: boolean;
            /** @description What is done with the groups. */
            mode: components["schemas"]["PlanMode"];
            /** @description Only these steps; what they come after counts as settled, but for approvals, which are asked for. */
            only?: string[];
            /** @description The plan's name. */
            plan: string;
            /**
             * Format: int32
             * @description Only steps at least as urgent.
             */
            priority?: number | null;
            /** @description Leave out also the approvals before those steps. Only for who could give each of them. */
            without_approvals?: boolean;
        };
        /** @description A bookmark to be made. */
        NewPoint: {
            /** @description Its label, unique in the group. */
            label: string;
        };
        /** @description A restore to be started. */
        NewRestore: {
            /** @description The instant: a point id, a label, or an RFC 3339 time for the newest point at or before it. */
            at: string;
            /** @description The group's name, as somebody typed it. */
            confirm: string;
            /** @description The group, by id or name. All of its volumes are put back together. */
            group: string;
        };
        /** @description A schedule to be set. */
        NewSchedule: {
            /** @description The time of the day, `HH:MM`; goes with whole days only. */
            at?: string | null;
            /**
             * Format: int64
             * @description Seconds from one drill to the next: an hour to 731 days.
             */
            every_seconds: number;
            /**
             * Format: int32
             * @description Seconds for which the machine is held after its last rung; 0 by default, a day at most.
             */
            hold_seconds?: number | null;
            launch_settings?: components["schemas"]["LaunchSettings"] | null;
            point?: components["schemas"]["PointChoice"] | null;
            /** @description The time zone of that, such as `Asia/Shanghai`; UTC by default. */
            zone?: string | null;
        };
        /** @description A token to be made. */
        NewToken: {
            /** @description When it ends; left out for one that is revoked by hand. */
            expires_at?: string | null;
            /**
             * @description The groups that it is for, by id or name: it sees nothing of others, and does nothing that is
             *     about more than one group or the installation. Left out for one that is for everything.
             */
            groups?: string[] | null;
            /** @description Who or what it is for; shown in logs. */
            name: string;
            /** @description What it allows. */
            role: components["schemas"]["Role"];
        };
        /** @description A user to be made. */
        NewUser: {
            /** @description The name: lower-case letters, digits, and `. _ - @`. */
            name: string;
            /**
             * Format: password
             * @description The password: 12 to 256 characters.
             */
            password: string;
            /** @description What the user may do. */
            role: components["schemas"]["Role"];
        };
        /** @description A view to be opened. */
        NewView: {
            /**
             * @description The point: its id or label, an RFC 3339 time for the newest point at or before it, or
             *     `latest`.
             */
            at: string;
            /** @description A branch of the group, by id: its own history is meant then, and not the group's. */
            branch?: string | null;
            /** @description The group, by id or name. */
            group: string;
            /**
             * Format: int64
             * @description Seconds until the view is closed by itself; a day by default, 30 days at most.
             */
            lease_seconds?: number | null;
        };
        /** @description A volume of a group to be made. */
        NewVolume: {
            /** @description Its name, unique in the group. */
            name: string;
            /**
             * Format: int64
             * @description Its size in bytes, a multiple of 512.
             */
            size_bytes: number;
        };
        /** @description A page of a list. */
        Page_Alert: {
            /** @description The items. */
            items: {
                acknowledged?: components["schemas"]["AlertAcknowledgement"] | null;
                /** @description What may be done with it now, and why not. */
                allowed_actions: components["schemas"]["Action"][];
                /** @description What the code means. */
                cause: string;
                /**
                 * Format: date-time
                 * @description When it was over; null while it is not.
                 */
                cleared_at?: string | null;
                /** @description The stable code that programs match on. */
                code: string;
                /** @description What was seen last. */
                detail: string;
                /** @description Where the documentation speaks of it. */
                docs: string;
                /** @description Its id. */
                id: string;
                muted?: components["schemas"]["AlertMute"] | null;
                /** @description What it is about. */
                object: components["schemas"]["AlertObject"];
                /**
                 * Format: int32
                 * @description How often it came, the first included.
                 */
                occurrences: number;
                /**
                 * Format: date-time
                 * @description When it was raised.
                 */
                raised_at: string;
                /** @description What to do about it. */
                remedy: string;
                /** @description How bad it is now. */
                severity: components["schemas"]["AlertSeverity"];
                /** @description How it stands. */
                state: components["schemas"]["AlertState"];
                unjudged?: components["schemas"]["AlertUnjudged"] | null;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Branch: {
            /** @description The items. */
            items: {
                /** @description What may be done with it now, and why not. */
                allowed_actions: components["schemas"]["Action"][];
                /** @description The branch it lies above; null when that is the group's own history. */
                base_branch?: string | null;
                /** @description The point it began as. */
                base_point: string;
                /** @description Why it cannot be used, or takes no more writes. */
                cause?: string | null;
                /**
                 * Format: date-time
                 * @description When it was made.
                 */
                created_at: string;
                /**
                 * Format: int64
                 * @description The group's generation when it was made.
                 */
                generation: number;
                /** @description Its group. */
                group: string;
                /** @description The name of its group. */
                group_name: string;
                /** @description Its id. */
                id: string;
                latest_point?: components["schemas"]["Point"] | null;
                /** @description The failover, failback or restore that it was made for. */
                made_for?: string | null;
                /** @description What it is for. */
                reason: components["schemas"]["BranchReason"];
                /** @description How it stands. */
                state: components["schemas"]["BranchState"];
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Drill: {
            /** @description The items. */
            items: {
                /** @description What may be done with it now. */
                allowed_actions: components["schemas"]["Action"][];
                /**
                 * @description The files it kept; `drill.json` and what was made of it (`report.json`, `report.html`,
                 *     `runbook.html`) besides.
                 */
                evidence: components["schemas"]["EvidenceFile"][];
                /**
                 * Format: date-time
                 * @description When it ended.
                 */
                finished_at?: string | null;
                /** @description Its group. */
                group: string;
                /** @description The name of its group. */
                group_name: string;
                /**
                 * Format: int32
                 * @description Seconds for which the machine is held after its last rung.
                 */
                hold_seconds: number;
                /** @description Its id. */
                id: string;
                /** @description Its job. */
                job: string;
                /** @description The point it boots. */
                point: components["schemas"]["Point"];
                progress?: components["schemas"]["DrillProgress"] | null;
                /** @description Why it did not pass. */
                reason?: string | null;
                report?: components["schemas"]["DrillReport"] | null;
                /**
                 * Format: date-time
                 * @description When it was asked for.
                 */
                requested_at: string;
                /** @description How it stands. */
                state: components["schemas"]["DrillState"];
                /** @description The view it boots from, while it is open. */
                view?: string | null;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Event: {
            /** @description The items. */
            items: {
                /**
                 * @description The group it belongs to; null when it belongs to none or to several, and for an alert of a
                 *     volume, whose sentence names the volume with its group.
                 */
                group?: string | null;
                /** @description The name of that group. */
                group_name?: string | null;
                /** @description Its id; later events have greater ids, as text too. */
                id: string;
                /** @description What happened. After a `reset`, read everything again that is shown. */
                kind: components["schemas"]["EventKind"];
                object?: components["schemas"]["EventObject"] | null;
                /** @description The object's id, or its name where that is what names it; null for a reset. */
                object_id?: string | null;
                /** @description What happened, in a sentence for people. */
                summary: string;
                /**
                 * Format: date-time
                 * @description When it was told.
                 */
                time: string;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Failback: {
            /** @description The items. */
            items: {
                /** @description What may be done with it now. */
                allowed_actions: components["schemas"]["Action"][];
                /** @description The branch that production runs on. */
                branch: string;
                /** @description What happens when nobody decides. */
                commit_policy: components["schemas"]["CommitPolicy"];
                /**
                 * Format: int64
                 * @description Seconds until that happens, or until the next round; null when nothing counts down.
                 */
                continues_in_seconds?: number | null;
                /** @description The disks found at home; they are confirmed by these serials. */
                disks: components["schemas"]["HomeDisk"][];
                end?: components["schemas"]["FailbackEnd"] | null;
                failure?: components["schemas"]["Failure"] | null;
                /**
                 * Format: date-time
                 * @description When it ended.
                 */
                finished_at?: string | null;
                /** @description The point where the two histories part. */
                fork: string;
                /**
                 * Format: int64
                 * @description The generation of its change of authority.
                 */
                generation?: number | null;
                /** @description Its group. */
                group: string;
                /** @description The name of its group. */
                group_name: string;
                /** @description The branch with what home wrote after a cutover that was undone. */
                home_writes?: string | null;
                /** @description Its id. */
                id: string;
                /** @description Its job. */
                job: string;
                /** @description The branch with what home wrote after the fork; null when that was nothing. */
                left_behind?: string | null;
                method?: components["schemas"]["SeedMethod"] | null;
                /** @description Who asked. */
                operator: string;
                /** @description Whether home was proven equal to the branch, by digest, at the cutover. */
                proven_equal: boolean;
                /**
                 * Format: int64
                 * @description Bytes written at the target during the last round.
                 */
                remaining_bytes?: number | null;
                /**
                 * Format: date-time
                 * @description When it was asked for.
                 */
                requested_at: string;
                /** @description What is at home to begin with. */
                seed: components["schemas"]["Seed"];
                /** @description Whether home was brought to the branch's present at least once. */
                seeded: boolean;
                /**
                 * Format: int64
                 * @description Bytes sent by all rounds.
                 */
                sent_bytes: number;
                /** @description What it does there. */
                stage: components["schemas"]["Stage"];
                /** @description The step it is in, or ended in. */
                step: components["schemas"]["Step"];
                /** @description Every step that was begun. */
                steps: components["schemas"]["PlacementStep"][];
                /** @description Whether it is on its way back. */
                turned_back: boolean;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Failover: {
            /** @description The items. */
            items: {
                /** @description What may be done with it now. */
                allowed_actions: components["schemas"]["Action"][];
                /** @description The branch that the machine runs on. */
                branch?: string | null;
                /** @description What happens when nobody decides. */
                commit_policy: components["schemas"]["CommitPolicy"];
                /**
                 * Format: int64
                 * @description Seconds until that happens; null when nothing counts down.
                 */
                decides_in_seconds?: number | null;
                end?: components["schemas"]["FailoverEnd"] | null;
                failure?: components["schemas"]["Failure"] | null;
                /**
                 * Format: date-time
                 * @description When it ended.
                 */
                finished_at?: string | null;
                /**
                 * Format: int64
                 * @description The generation of its change of authority.
                 */
                generation?: number | null;
                /** @description Its group. */
                group: string;
                /** @description The name of its group. */
                group_name: string;
                /** @description Its id. */
                id: string;
                /** @description The machine. */
                instance?: string | null;
                /**
                 * Format: date-time
                 * @description When production stopped, as the operator knew it.
                 */
                interrupted_at?: string | null;
                /** @description Its job. */
                job: string;
                ladder?: components["schemas"]["FailoverLadder"] | null;
                /** @description How the machine looks. */
                launch_settings: components["schemas"]["LaunchSettings"];
                loss?: components["schemas"]["LossWindow"] | null;
                /** @description Whether production was to be stopped in order first. */
                mode: components["schemas"]["FailoverMode"];
                /** @description Its network cards. */
                networks: components["schemas"]["NetworkCard"][];
                /** @description Who asked. */
                operator: string;
                /** @description The pinned point. */
                point?: string | null;
                /**
                 * Format: date-time
                 * @description The time of that point.
                 */
                point_time?: string | null;
                /**
                 * Format: date-time
                 * @description When it was asked for.
                 */
                requested_at: string;
                /** @description What it does there. */
                stage: components["schemas"]["Stage"];
                /** @description The step it is in, or ended in. */
                step: components["schemas"]["Step"];
                /** @description Every step that was begun. */
                steps: components["schemas"]["PlacementStep"][];
                /** @description Whether it is on its way back. */
                turned_back: boolean;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Group: {
            /** @description The items. */
            items: {
                /** @description What may be done with it now, and why not. */
                allowed_actions: components["schemas"]["Action"][];
                /** @description The capture at the source. */
                capture: components["schemas"]["CaptureBody"];
                /**
                 * Format: date-time
                 * @description When it was created.
                 */
                created_at: string;
                /** @description What its drill does. */
                drill: components["schemas"]["DrillAxisBody"];
                /** @description The gateway that feeds the group. */
                gateway: components["schemas"]["GatewayBody"];
                /**
                 * Format: int64
                 * @description Its fencing number.
                 */
                generation: number;
                /** @description How well it is. */
                health: components["schemas"]["Health"];
                /** @description Its id. */
                id: string;
                latest_point?: components["schemas"]["LatestPoint"] | null;
                /** @description Its name, unique in the installation. */
                name: string;
                placement?: components["schemas"]["PlacementState"] | null;
                /** @description The positions between which lag is measured. */
                positions: components["schemas"]["Positions"];
                /** @description Whether its newest inspected point would boot. */
                readiness: components["schemas"]["ReadinessAxis"];
                /** @description What the replication does. */
                replication: components["schemas"]["Replication"];
                /** @description Whether the age of the newest point is known. */
                rpo_known: boolean;
                /**
                 * Format: double
                 * @description The age of the newest point in seconds, measured; null when it is not known.
                 */
                rpo_seconds?: number | null;
                /** @description The stream that its capture feeds. */
                stream: string;
                /** @description Its volumes, in the order of the machine's disks. */
                volumes: components["schemas"]["GroupVolume"][];
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Job: {
            /** @description The items. */
            items: {
                /**
                 * Format: date-time
                 * @description When it was asked for.
                 */
                created_at: string;
                error?: components["schemas"]["JobError"] | null;
                /**
                 * Format: date-time
                 * @description When it ended.
                 */
                finished_at?: string | null;
                /** @description The group it is about. */
                group: string;
                /** @description Its id. */
                id: string;
                /** @description What it does. */
                kind: components["schemas"]["JobKind"];
                /** @description What it does at the moment. */
                phase?: string | null;
                result?: components["schemas"]["JobResult"] | null;
                /**
                 * Format: date-time
                 * @description When it began.
                 */
                started_at?: string | null;
                /** @description How it stands. */
                state: components["schemas"]["JobState"];
                /** @description What it is about in that group: a label, a drill's id, or a point's. */
                subject: string;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Plan: {
            /** @description The items. */
            items: {
                /** @description What may be done with the plan now, and why not. */
                allowed_actions: components["schemas"]["Action"][];
                /**
                 * Format: date-time
                 * @description When this version was applied.
                 */
                applied_at: string;
                /** @description Who applied it. */
                applied_by: string;
                /** @description The document, with every default. */
                document: Record<string, never>;
                /** @description The groups it recovers. */
                groups: string[];
                /** @description Its name. */
                name: string;
                /**
                 * Format: int32
                 * @description Its version; the first is 1.
                 */
                version: number;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_PlanRun: {
            /** @description The items. */
            items: {
                /** @description What may be done with the run now. */
                allowed_actions: components["schemas"]["Action"][];
                /**
                 * Format: date-time
                 * @description The one time of all groups; null for the newest point of each.
                 */
                at?: string | null;
                /**
                 * Format: date-time
                 * @description When.
                 */
                began_at: string;
                cancelled?: components["schemas"]["PlanDecision"] | null;
                /**
                 * Format: date-time
                 * @description When it ended.
                 */
                ended_at?: string | null;
                /** @description Its id. */
                id: string;
                /**
                 * Format: date-time
                 * @description When production stopped, as far as the operator knew.
                 */
                interrupted_at?: string | null;
                /** @description What is done with the groups. */
                mode: components["schemas"]["PlanMode"];
                /** @description Only these steps were asked for; empty for all. */
                only: string[];
                /** @description Who asked. */
                operator: string;
                /** @description The plan. */
                plan: string;
                /** @description Each group's greatest point that is not after that time, as it was at the start. */
                points: components["schemas"]["PlanPoint"][];
                /**
                 * Format: int32
                 * @description Only steps at least as urgent were asked for; null for all.
                 */
                priority?: number | null;
                /**
                 * Format: double
                 * @description How far the earliest of these is before the latest, in seconds; null for fewer than two.
                 */
                skew_seconds?: number | null;
                /** @description How it stands. */
                state: components["schemas"]["PlanRunState"];
                /** @description The steps, in the plan's order. */
                steps: components["schemas"]["PlanRunStep"][];
                /**
                 * Format: double
                 * @description The same of the points that were really taken.
                 */
                taken_skew_seconds?: number | null;
                /**
                 * Format: int32
                 * @description The version of the plan that is run.
                 */
                version: number;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Point: {
            /** @description The items. */
            items: {
                /**
                 * Format: date-time
                 * @description Up to when the source is known not to have written anything more.
                 */
                covers_until: string;
                /** @description Its group. */
                group: string;
                /** @description Its id, unique in its group. */
                id: string;
                /** @description What it is. */
                kind: components["schemas"]["PointKind"];
                /** @description Its label, unique in its group. */
                label?: string | null;
                /** @description The position of its last record. */
                position: string;
                /**
                 * Format: date-time
                 * @description When its last record was captured.
                 */
                time: string;
                /**
                 * @description Ranges whose contents nobody knows, because the source could not read them after a failed
                 *     write. Reading them is an error.
                 */
                unknown_ranges: components["schemas"]["UnknownRange"][];
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Report: {
            /** @description The items. */
            items: {
                /** @description Its BLAKE3 digest, which the next report holds. */
                digest: string;
                /** @description The group. */
                group: string;
                /** @description The name of the group when it was made. */
                group_name: string;
                /** @description Its id. */
                id: string;
                /** @description Whether it is of a failover that was not over: its ladder was climbed, and it could be undone. */
                interim: boolean;
                /** @description What it is about: `drill`, `failover`, `failback` or `restore`. */
                kind: string;
                /**
                 * Format: int32
                 * @description The level that its indicators were consistent with; null when none.
                 */
                level?: number | null;
                /**
                 * Format: date-time
                 * @description When it was made.
                 */
                made_at: string;
                /**
                 * Format: int64
                 * @description Its number in the installation's chain; the first is 1.
                 */
                number: number;
                /**
                 * Format: date-time
                 * @description When the work was asked for.
                 */
                requested_at: string;
                /** @description How the work ended: `passed`, `failed`, `cancelled`, `rolled_back` or `cleanup_failed`. */
                result: string;
                /**
                 * Format: int64
                 * @description What 95 of 100 parts of the period did not exceed, in milliseconds.
                 */
                rpo_p95_ms?: number | null;
                /**
                 * Format: int64
                 * @description The worst recovery point of its period in milliseconds; null when nobody measured.
                 */
                rpo_worst_ms?: number | null;
                /**
                 * Format: int64
                 * @description The recovery time in milliseconds; null when the machine was not usable.
                 */
                rto_ms?: number | null;
                /** @description The id of what it is about. */
                subject: string;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Restore: {
            /** @description The items. */
            items: {
                /** @description What may be done with it now. */
                allowed_actions: components["schemas"]["Action"][];
                end?: components["schemas"]["RestoreEnd"] | null;
                failure?: components["schemas"]["Failure"] | null;
                /**
                 * Format: int64
                 * @description Bytes of content that went to the source.
                 */
                fetched_bytes: number;
                /**
                 * Format: date-time
                 * @description When it ended.
                 */
                finished_at?: string | null;
                /**
                 * Format: int64
                 * @description The generation that it took last.
                 */
                generation?: number | null;
                /** @description Its group. */
                group: string;
                /** @description The name of its group. */
                group_name: string;
                /** @description Its id. */
                id: string;
                /** @description Its job. */
                job: string;
                loss?: components["schemas"]["LossWindow"] | null;
                /** @description Who asked. */
                operator: string;
                /** @description The point that the disks are put back to. */
                point?: string | null;
                /**
                 * Format: date-time
                 * @description The time of that point.
                 */
                point_time?: string | null;
                progress?: components["schemas"]["RestoreProgress"] | null;
                /**
                 * Format: date-time
                 * @description When it was asked for.
                 */
                requested_at: string;
                /** @description Whether a failover interrupted it; it goes on if that does not become final. */
                set_aside: boolean;
                /** @description What it does there. */
                stage: components["schemas"]["Stage"];
                /** @description The step it is in, or ended in. */
                step: components["schemas"]["Step"];
                /** @description Every step that was begun. */
                steps: components["schemas"]["PlacementStep"][];
                /** @description Whether it is on its way back. */
                turned_back: boolean;
                /** @description Its label. */
                undo_label?: string | null;
                /** @description The point with all that the source held before; the restore is undone with it. */
                undo_point?: string | null;
                /**
                 * Format: date-time
                 * @description The time of that point.
                 */
                undo_time?: string | null;
                /** @description The restore that it undoes, if it does. */
                undoes?: string | null;
                /**
                 * Format: int64
                 * @description Bytes written to its disks.
                 */
                written_bytes: number;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Token: {
            /** @description The items. */
            items: {
                /**
                 * Format: date-time
                 * @description When it was made.
                 */
                created_at: string;
                /**
                 * Format: date-time
                 * @description When it ends; null for one that is revoked by hand.
                 */
                expires_at?: string | null;
                /** @description The names of the groups that it is for; null for one that is for the whole installation. */
                groups?: string[] | null;
                /** @description The id. */
                id: string;
                /** @description What it is for. */
                name: string;
                /** @description What it allows. */
                role: components["schemas"]["Role"];
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_User: {
            /** @description The items. */
            items: {
                /**
                 * Format: date-time
                 * @description When the user was made.
                 */
                created_at: string;
                /** @description Whether signing in is refused. */
                disabled: boolean;
                /** @description The id. */
                id: string;
                /** @description The name to sign in with. */
                name: string;
                /**
                 * Format: date-time
                 * @description When the password was set.
                 */
                password_set_at: string;
                /** @description What the user may do. */
                role: components["schemas"]["Role"];
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_View: {
            /** @description The items. */
            items: {
                /** @description What may be done with it now, and why not. */
                allowed_actions: components["schemas"]["Action"][];
                /** @description The branch whose history it shows; null when that is the group's own. */
                branch?: string | null;
                /** @description The drill that it is for. */
                drill?: string | null;
                /** @description Its group. */
                group: string;
                /** @description The name of its group. */
                group_name: string;
                /** @description Its id. */
                id: string;
                /**
                 * Format: date-time
                 * @description When it is closed by itself.
                 */
                lease_expires?: string | null;
                /**
                 * Format: date-time
                 * @description When it was opened.
                 */
                opened_at: string;
                /** @description The point it shows. */
                point: components["schemas"]["Point"];
                /** @description Why it is not, or why a reader of it got an error. */
                reason?: string | null;
                /** @description Whether it is being served. */
                state: components["schemas"]["ViewState"];
                /** @description Its volumes, in the order of the machine's disks. */
                volumes: components["schemas"]["ViewVolume"][];
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page of a list. */
        Page_Volume: {
            /** @description The items. */
            items: {
                /** @description Its group. */
                group: string;
                /** @description The name of its group. */
                group_name: string;
                /** @description Its id. */
                id: string;
                /** @description Its name, unique in its group. */
                name: string;
                /**
                 * Format: int32
                 * @description The number the stream uses; null before the capture told it.
                 */
                number?: number | null;
                /**
                 * Format: int64
                 * @description Its size in bytes.
                 */
                size_bytes?: number | null;
                /**
                 * Format: int64
                 * @description Writes by the application since the capture started; null while it is not connected.
                 */
                writes?: number | null;
                /**
                 * Format: int64
                 * @description Bytes written by the application since the capture started; null while it is not connected.
                 */
                written_bytes?: number | null;
            }[];
            /** @description Where the list goes on; null at its end. */
            next_cursor?: string | null;
        };
        /** @description A page that must be given out. */
        PageProbe: {
            /** @description A text that the first 256 KiB of the body must contain. */
            contains?: string | null;
            /** @description The status that passes, such as `["200-299", "401"]`; 200 to 299 by default. */
            expected?: components["schemas"]["StatusSet"];
            /** @description The host that is asked for, and that a certificate must name; the machine's address by default. */
            host?: string | null;
            /** @description The path, with its query; `/` by default. */
            path?: string;
            /**
             * Format: int32
             * @description The port of the machine.
             */
            port: number;
            /** @description Whether it is asked for over TLS. */
            tls?: boolean;
            /** @description Whose certificates are believed, with TLS. */
            trust?: components["schemas"]["Trust"];
        };
        /** @description The own password, old and new. */
        PasswordChange: {
            /**
             * Format: password
             * @description The password as it is.
             */
            current: string;
            /**
             * Format: password
             * @description The password as it is to be: 12 to 256 characters.
             */
            password: string;
        };
        /**
         * @description What an operation of an API needs.
         * @enum {string}
         */
        Permission: "own" | "read" | "mark_points" | "drill" | "read_content" | "protect" | "plan" | "recover" | "approve" | "handle_alerts" | "audit" | "manage_access";
        /**
         * @description One phase; the order of the variants is the order of the drill.
         * @enum {string}
         */
        Phase: "precheck" | "pin_point" | "create_overlays" | "isolated_network" | "boot" | "probe" | "hold" | "evidence" | "destroy" | "verify_destroyed" | "report";
        /**
         * @description How a phase ended.
         * @enum {string}
         */
        PhaseOutcome: "done" | "failed" | "stopped";
        /** @description A phase that was entered. */
        PhaseReport: {
            /**
             * Format: double
             * @description When it began, in seconds since the drill was requested.
             */
            began_seconds: number;
            /** @description What came out, in a sentence; empty when there is nothing to say. */
            detail: string;
            /**
             * Format: double
             * @description How long it took, in seconds.
             */
            duration_seconds: number;
            /** @description How it ended. */
            outcome: components["schemas"]["PhaseOutcome"];
            /** @description The phase. */
            phase: components["schemas"]["Phase"];
        };
        /** @description Which site a group's production belongs to, and what is being done about it. */
        Placement: {
            /** @description What may be done now, and why not. */
            allowed_actions: components["schemas"]["Action"][];
            /** @description The site that has authority over the data. */
            authority: components["schemas"]["Site"];
            /**
             * Format: int64
             * @description The generation under which it has it.
             */
            generation: number;
            /** @description The group. */
            group: string;
            job?: components["schemas"]["PlacementJob"] | null;
            source?: components["schemas"]["SourceStanding"] | null;
            /** @description What the source is told to do. */
            source_order: components["schemas"]["SourceOrder"];
            split_brain?: components["schemas"]["SplitBrain"] | null;
            /** @description Where production is. */
            state: components["schemas"]["PlacementState"];
            target?: components["schemas"]["TargetSide"] | null;
        };
        /** @description A failover, failback or restore that is on its way. */
        PlacementJob: {
            failure?: components["schemas"]["Failure"] | null;
            /** @description Its id. */
            id: string;
            /** @description Its kind. */
            kind: components["schemas"]["PlacementJobKind"];
            /** @description What it does there. */
            stage: components["schemas"]["Stage"];
            /** @description The step it is in. */
            step: components["schemas"]["Step"];
        };
        /**
         * @description The kinds of jobs that change a placement.
         * @enum {string}
         */
        PlacementJobKind: "failover" | "failback" | "restore";
        /**
         * @description Where a group's production is, for people.
         * @enum {string}
         */
        PlacementState: "source_active" | "restoring" | "failing_over" | "target_uncommitted" | "target_active" | "reversing" | "reverse_protected" | "failing_back" | "source_uncommitted" | "rolling_back" | "split_brain_suspected";
        /** @description One step of a failover, failback or restore. */
        PlacementStep: {
            /**
             * Format: int32
             * @description How many times it was begun.
             */
            attempts: number;
            /**
             * Format: date-time
             * @description When it first began.
             */
            began_at: string;
            /**
             * Format: date-time
             * @description When it ended; null while it is on its way.
             */
            ended_at?: string | null;
            outcome?: components["schemas"]["StepOutcome"] | null;
            /**
             * Format: double
             * @description Seconds between the two.
             */
            seconds?: number | null;
            /** @description The step. */
            step: components["schemas"]["Step"];
        };
        /** @description A recovery plan. */
        Plan: {
            /** @description What may be done with the plan now, and why not. */
            allowed_actions: components["schemas"]["Action"][];
            /**
             * Format: date-time
             * @description When this version was applied.
             */
            applied_at: string;
            /** @description Who applied it. */
            applied_by: string;
            /** @description The document, with every default. */
            document: Record<string, never>;
            /** @description The groups it recovers. */
            groups: string[];
            /** @description Its name. */
            name: string;
            /**
             * Format: int32
             * @description Its version; the first is 1.
             */
            version: number;
        };
        /** @description What a look at a plan showed. */
        PlanCheck: {
            /** @description Everything that was looked at. */
            items: components["schemas"]["PlanCheckItem"][];
            /** @description What an emergency would lose of each group; empty for other modes. */
            losses: components["schemas"]["PlanLoss"][];
            /** @description For which run. */
            mode: components["schemas"]["PlanMode"];
            /** @description The plan. */
            plan: string;
            /** @description The point that each group would be recovered from. */
            points: components["schemas"]["PlanPoint"][];
            /**
             * Format: double
             * @description How far the earliest of these points is before the latest, in seconds; null for fewer than two.
             */
            skew_seconds?: number | null;
            /** @description The worst verdict. */
            verdict: components["schemas"]["PlanCheckVerdict"];
            /**
             * Format: int32
             * @description Its version.
             */
            version: number;
        };
        /** @description One thing that was looked at. */
        PlanCheckItem: {
            /** @description What was looked at. */
            check: string;
            /** @description What was seen. */
            detail: string;
            /** @description What to do about it; null where nothing has to be done. */
            remedy?: string | null;
            /** @description The step; null for the plan itself. */
            step?: string | null;
            /** @description What that showed. */
            verdict: components["schemas"]["PlanCheckVerdict"];
        };
        /**
         * @description What a look at something showed.
         * @enum {string}
         */
        PlanCheckVerdict: "passed" | "warning" | "failed";
        /** @description What an operator decided. */
        PlanDecision: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description Who. */
            by: string;
            /** @description Why, as it was given. */
            reason?: string | null;
        };
        /** @description A plan to be applied: steps with what they come after. */
        PlanDocument: Record<string, never>;
        /** @description How long a run would take, as far as that is known. */
        PlanForecast: {
            /**
             * Format: double
             * @description From the start to the end, at least, in seconds.
             */
            at_least_seconds: number;
            /** @description Whether that is all; without it there are steps whose time nobody knows. */
            is_complete: boolean;
            /** @description For which run. */
            mode: components["schemas"]["PlanMode"];
            /** @description The plan. */
            plan: string;
            /** @description The steps, in the plan's order. */
            steps: components["schemas"]["PlanForecastStep"][];
            /**
             * Format: int32
             * @description Its version.
             */
            version: number;
        };
        /** @description How long a step would take. */
        PlanForecastStep: {
            /** @description What the time is based on, in words. */
            basis: string;
            /**
             * Format: double
             * @description When it would begin after the start, at the earliest, in seconds; null when it is left out.
             */
            begins_after_seconds?: number | null;
            /** @description How many earlier runs that is the median of; null when it is not based on runs. */
            runs?: number | null;
            /**
             * Format: double
             * @description How long it takes, in seconds; null when that is not known or it is left out.
             */
            seconds?: number | null;
            /** @description The step. */
            step: string;
        };
        /** @description What an emergency would lose of a group. */
        PlanLoss: {
            /** @description Its name. */
            group_name: string;
            /** @description The loss. */
            loss: components["schemas"]["LossWindow"];
            /** @description The step that recovers it. */
            step: string;
            /** @description The same in words. */
            summary: string;
        };
        /**
         * @description What a run does with the groups.
         * @enum {string}
         */
        PlanMode: "drill" | "planned" | "emergency";
        /** @description The point that was chosen for a group. */
        PlanPoint: {
            /** @description The group. */
            group: string;
            /** @description Its name. */
            group_name: string;
            /** @description The point. */
            point: string;
            /** @description The step that recovers it. */
            step: string;
            /**
             * Format: date-time
             * @description The point's time.
             */
            time: string;
        };
        /** @description A run of a plan. */
        PlanRun: {
            /** @description What may be done with the run now. */
            allowed_actions: components["schemas"]["Action"][];
            /**
             * Format: date-time
             * @description The one time of all groups; null for the newest point of each.
             */
            at?: string | null;
            /**
             * Format: date-time
             * @description When.
             */
            began_at: string;
            cancelled?: components["schemas"]["PlanDecision"] | null;
            /**
             * Format: date-time
             * @description When it ended.
             */
            ended_at?: string | null;
            /** @description Its id. */
            id: string;
            /**
             * Format: date-time
             * @description When production stopped, as far as the operator knew.
             */
            interrupted_at?: string | null;
            /** @description What is done with the groups. */
            mode: components["schemas"]["PlanMode"];
            /** @description Only these steps were asked for; empty for all. */
            only: string[];
            /** @description Who asked. */
            operator: string;
            /** @description The plan. */
            plan: string;
            /** @description Each group's greatest point that is not after that time, as it was at the start. */
            points: components["schemas"]["PlanPoint"][];
            /**
             * Format: int32
             * @description Only steps at least as urgent were asked for; null for all.
             */
            priority?: number | null;
            /**
             * Format: double
             * @description How far the earliest of these is before the latest, in seconds; null for fewer than two.
             */
            skew_seconds?: number | null;
            /** @description How it stands. */
            state: components["schemas"]["PlanRunState"];
            /** @description The steps, in the plan's order. */
            steps: components["schemas"]["PlanRunStep"][];
            /**
             * Format: double
             * @description The same of the points that were really taken.
             */
            taken_skew_seconds?: number | null;
            /**
             * Format: int32
             * @description The version of the plan that is run.
             */
            version: number;
        };
        /** @description Why the run is given up. */
        PlanRunCancellation: {
            /** @description Why. */
            reason?: string | null;
        };
        /**
         * @description How a run stands.
         * @enum {string}
         */
        PlanRunState: "running" | "awaiting_approval" | "paused" | "cancelling" | "succeeded" | "succeeded_in_part" | "cancelled";
        /** @description A step of a run. */
        PlanRunStep: {
            /** @description What it is about: a group's name, what is asked, how long is waited, or what it reaches. */
            about: string;
            /** @description What has to be settled before it begins. */
            after: string[];
            /** @description What may be done with the step now. */
            allowed_actions: components["schemas"]["Action"][];
            /**
             * Format: int32
             * @description How often it was begun.
             */
            attempts: number;
            /**
             * Format: date-time
             * @description When it was begun first.
             */
            began_at?: string | null;
            /** @description Whether its failure holds the run up. */
            critical: boolean;
            decided?: components["schemas"]["PlanDecision"] | null;
            /**
             * Format: date-time
             * @description When it ended.
             */
            ended_at?: string | null;
            failure?: components["schemas"]["PlanStepFailure"] | null;
            /** @description Its id. */
            id: string;
            /** @description What it does: group, wait, approval, script, probe, dns, webhook or call. */
            kind: string;
            /** @description What was observed. */
            note?: string | null;
            /** @description The point that was taken. */
            point?: string | null;
            /**
             * Format: date-time
             * @description The time of that point.
             */
            point_time?: string | null;
            /**
             * Format: int32
             * @description How urgent it is.
             */
            priority: number;
            /** @description Why it was left out or skipped; null otherwise. */
            reason?: string | null;
            /** @description What carries it out, such as a drill or failover. */
            reference?: string | null;
            /**
             * Format: double
             * @description What is left of a wait, in seconds; null when nothing is being waited for.
             */
            remaining_seconds?: number | null;
            /**
             * Format: double
             * @description How long its last attempt took, in seconds; null before it ended.
             */
            seconds?: number | null;
            /** @description How it stands. */
            state: components["schemas"]["PlanStepState"];
            /** @description Who may release it; empty for everybody who may change things. */
            who: string[];
        };
        /** @description Which step is released. */
        PlanStepApproval: {
            /** @description What is said about it. */
            reason?: string | null;
            /** @description The step's id. */
            step: string;
        };
        /** @description Why a step failed. */
        PlanStepFailure: {
            /** @description What happened. */
            cause: string;
            /** @description The stable code that programs match on. */
            code: string;
            /** @description What to do about it. */
            remedy: string;
        };
        /** @description Which step is begun again. */
        PlanStepRetry: {
            /** @description The step's id. */
            step: string;
        };
        /** @description Which step, and why. */
        PlanStepSkip: {
            /** @description Why the run goes on without it. */
            reason: string;
            /** @description The step's id. */
            step: string;
        };
        /**
         * @description How a step of a run stands.
         * @enum {string}
         */
        PlanStepState: "waiting" | "running" | "awaiting_approval" | "done" | "failed" | "skipped" | "not_run";
        /** @description A recovery point: an exact prefix of the source's write history. */
        Point: {
            /**
             * Format: date-time
             * @description Up to when the source is known not to have written anything more.
             */
            covers_until: string;
            /** @description Its group. */
            group: string;
            /** @description Its id, unique in its group. */
            id: string;
            /** @description What it is. */
            kind: components["schemas"]["PointKind"];
            /** @description Its label, unique in its group. */
            label?: string | null;
            /** @description The position of its last record. */
            position: string;
            /**
             * Format: date-time
             * @description When its last record was captured.
             */
            time: string;
            /**
             * @description Ranges whose contents nobody knows, because the source could not read them after a failed
             *     write. Reading them is an error.
             */
            unknown_ranges: components["schemas"]["UnknownRange"][];
        };
        /** @description Which point a scheduled drill boots. */
        PointChoice: "latest" | {
            /** @description The newest that is at least this old. */
            age: {
                /**
                 * Format: int64
                 * @description Its age, in seconds.
                 */
                seconds: number;
            };
        };
        /** @description The point a drill boots, as the engine shows it. */
        PointDescription: {
            /** @description The point's id. */
            id: string;
            /** @description Its label, if it has one. */
            label?: string | null;
            /**
             * Format: date-time
             * @description Its time, if it is known.
             */
            time?: string | null;
        };
        /**
         * @description What a point is.
         * @enum {string}
         */
        PointKind: "crash_consistent" | "application_consistent" | "bookmark";
        /** @description Whether a point would boot, said from its disks without booting them. */
        PointReadiness: {
            /**
             * Format: date-time
             * @description When it was inspected.
             */
            checked_at: string;
            /** @description The order of the machine's disks, as launch settings give it; empty for the declared one. */
            disk_order: string[];
            /** @description The group. */
            group: string;
            /** @description The point. */
            point: string;
            /** @description What was found. */
            report: components["schemas"]["ReadinessReport"];
        };
        /** @description A TCP port of the host that leads to a port of the machine. */
        PortForward: {
            /**
             * Format: ipv4
             * @description The host's address to listen on; default 127.0.0.1.
             */
            host_address?: string;
            /**
             * Format: int32
             * @description The host's port.
             */
            host_port: number;
            /**
             * Format: int32
             * @description The machine's port.
             */
            machine_port: number;
        };
        /** @description A TCP port that must take connections. */
        PortProbe: {
            /**
             * Format: int32
             * @description The port of the machine.
             */
            port: number;
            /** @description A text that the server must say first, unasked, as servers of mail and SSH do. */
            says?: string | null;
        };
        /**
         * @description Positions in the stream (incarnation-sequence), each at or behind the one before it; null where
         *     it is not known.
         */
        Positions: {
            /** @description What is durable here. */
            durable?: string | null;
            /** @description What is durable in the capture's journal. */
            journaled?: string | null;
            /** @description What is in a published point. */
            published?: string | null;
            /** @description The last record received. */
            received?: string | null;
            /** @description The last record that the capture numbered. */
            sequenced?: string | null;
            /** @description The end of what is settled at the capture. */
            settled?: string | null;
        };
        /** @description One check. */
        PrecheckItem: {
            /** @description What was seen. */
            detail: string;
            /** @description What was checked. */
            name: string;
            /** @description What to do about it; absent when nothing is to be done. */
            remedy?: string | null;
            /** @description What came out. */
            verdict: components["schemas"]["PrecheckVerdict"];
        };
        /** @description All checks. */
        PrecheckReport: {
            /** @description The checks, in the order they were made. */
            items: components["schemas"]["PrecheckItem"][];
        };
        /**
         * @description What came out of one check.
         * @enum {string}
         */
        PrecheckVerdict: "passed" | "failed" | "unknown";
        /**
         * @description What kind of principal it is.
         * @enum {string}
         */
        PrincipalKind: "user" | "token";
        /** @description A probe of the machine with its result. */
        ProbeResult: {
            /**
             * Format: double
             * @description When it was decided, in seconds since the drill was requested.
             */
            at_seconds?: number | null;
            /** @description The probe, such as `port:22`. */
            name: string;
            /** @description What was seen. */
            observed?: string | null;
            /** @description Why it failed or did not run. */
            reason?: string | null;
            /**
             * Format: double
             * @description How long it was tried for, in seconds.
             */
            took_seconds?: number | null;
            /** @description What came out. */
            verdict: components["schemas"]["RungVerdict"];
        };
        /** @description What a drill asks of its machine. Each probe is tried until it passes or its time is over. */
        Probes: {
            /**
             * @description The address that the machine has by its own configuration, with the length of the prefix, such
             *     as `192.168.1.20/24`. Without it the machine gets one over DHCP, or is asked at the address that
             *     it uses.
             * @default null
             */
            guest_address?: string | null;
            /**
             * @description Whether the guest agent (`qemu-guest-agent`) must answer. It is asked what it is, and for
             *     nothing else.
             * @default false
             */
            guest_agent?: boolean;
            /**
             * @description Pages that must be given out.
             * @default []
             */
            http?: components["schemas"]["PageProbe"][];
            /**
             * @description Whether the machine must show an address and answer at it; true by itself when anything else is
             *     asked over the network.
             * @default false
             */
            network_address?: boolean;
            /**
             * @description TCP ports that must take connections.
             * @default []
             */
            ports?: components["schemas"]["PortProbe"][];
            /**
             * @description Programs of the cloud side's host that judge the machine, after everything else; each is run once.
             *     A failover runs them too. Its operator decides which there are.
             * @default []
             */
            scripts?: components["schemas"]["ScriptProbe"][];
            /**
             * Format: int32
             * @description Seconds that each probe is tried for, from when it is its turn; default 60.
             * @default 60
             */
            timeout_seconds?: number;
        };
        /** @description The members of a problem as they stand in the document. */
        Problem: {
            /** @description What may be done with the object instead. */
            allowed_actions?: components["schemas"]["Action"][] | null;
            /** @description Why it happened, where that is known. */
            cause?: string | null;
            /** @description The stable code that programs match on. */
            code: string;
            /** @description What happened in this case; names the thing. */
            detail: string;
            /** @description Everything that is wrong with what was sent, where it is looked at as a whole. */
            faults?: components["schemas"]["ProblemFault"][] | null;
            /** @description The field of the request that was refused, as a dotted path. */
            field?: string | null;
            /** @description What to do about it. */
            remedy?: string | null;
            /** @description The id of the request, to be found in the logs. */
            request_id?: string | null;
            /**
             * Format: int64
             * @description After how many seconds the same request may succeed.
             */
            retry_after_seconds?: number | null;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description The kind of problem in a few words. */
            title: string;
            /** @description URN of the kind of problem: `urn:bcdr:problem:` and the code. */
            type: string;
        };
        /** @description One of the things that are wrong with what was sent. */
        ProblemFault: {
            /** @description What is wrong. */
            cause: string;
            /** @description The stable code that programs match on. */
            code: string;
            /** @description The part that it is in, such as a step of a plan; absent for the whole. */
            part?: string | null;
            /** @description What to do about it. */
            remedy: string;
        };
        /** @description One thing that was looked for after the clean-up. */
        ProofItem: {
            /** @description What was seen. */
            detail: string;
            /** @description Whether it is as it should be. */
            proven: boolean;
            /** @description What was checked, such as `overlay of root`. */
            what: string;
        };
        /**
         * @description The answer to the question of the title.
         * @enum {string}
         */
        Readiness: "ready" | "not_ready" | "unknown";
        /** @description The readiness axis of a group: whether its newest inspected point would boot. */
        ReadinessAxis: {
            /**
             * Format: date-time
             * @description When.
             */
            checked_at?: string | null;
            /** @description The order of that machine's disks, as launch settings give it. */
            disk_order: string[];
            /** @description Whether that is the newest point still; null before the first inspection. */
            is_newest_point?: boolean | null;
            /** @description The point that was inspected. */
            point?: string | null;
            /** @description Why it is unknown although a point was inspected; null otherwise. */
            reason?: string | null;
            /**
             * @description What the newest inspection said; unknown before the first, and when the launch settings
             *     changed since.
             */
            state: components["schemas"]["Readiness"];
            target?: components["schemas"]["ReadinessTarget"] | null;
        };
        /** @description An answer. */
        ReadinessCheck: {
            /** @description What was asked. */
            code: components["schemas"]["ReadinessCheckCode"];
            /** @description What was found, and where. */
            evidence: string;
            /** @description What to do at the source, when something is to be done. */
            remedy?: string | null;
            /** @description The answer. */
            verdict: components["schemas"]["ReadinessVerdict"];
        };
        /**
         * @description What was asked.
         * @enum {string}
         */
        ReadinessCheckCode: "partition_table" | "partition_table_backup" | "partition_bounds" | "partition_overlap" | "boot_code" | "boot_loader" | "efi_system_partition" | "efi_loader" | "efi_configuration" | "file_system" | "file_system_errors" | "file_system_size" | "root_file_system" | "boot_configuration" | "kernel" | "initrd" | "kernel_root" | "disk_driver" | "file_system_driver" | "network_driver" | "fstab" | "network_configuration" | "serial_console" | "windows" | "inspection_completed" | "inspection_bounds";
        /**
         * @description How the disks are attached.
         * @enum {string}
         */
        ReadinessDiskBus: "virtio" | "ahci";
        /** @description A piece of text that takes the place of another of the same length. */
        ReadinessEdit: {
            /** @description What is to be there. ASCII, of the same length. */
            after: string;
            /** @description What must be there. ASCII. */
            before: string;
            /** @description The disk, counted from 0 in boot order. */
            disk: number;
            /**
             * Format: int64
             * @description The first byte, from the start of the disk.
             */
            offset: number;
        };
        /**
         * @description What starts the boot loader.
         * @enum {string}
         */
        ReadinessFirmware: "bios" | "uefi";
        /** @description Edits that put one defect right. They are for a branch; a replica is never written to. */
        ReadinessFixUp: {
            /** @description Which defect. */
            code: components["schemas"]["ReadinessFixUpCode"];
            /** @description What changes, for people. */
            description: string;
            /** @description The edits. All of them or none. */
            edits: components["schemas"]["ReadinessEdit"][];
        };
        /**
         * @description Which defect an edit puts right.
         * @enum {string}
         */
        ReadinessFixUpCode: "fstab" | "kernel_root" | "persistent_net_names";
        /** @description What an inspection found. */
        ReadinessReport: {
            /** @description All answers, in the order in which a machine would run into them. */
            checks: components["schemas"]["ReadinessCheck"][];
            /** @description What can be put right on a branch. */
            fix_ups: components["schemas"]["ReadinessFixUp"][];
            /** @description What the system calls itself, when it was found. */
            operating_system?: string | null;
            /** @description Ready, not ready, or unknown. */
            readiness: components["schemas"]["Readiness"];
            /** @description For which machine this was asked. */
            target: components["schemas"]["ReadinessTarget"];
        };
        /** @description The machine that shall boot the disks. */
        ReadinessTarget: {
            /** @description How its disks are attached. */
            disk_bus: components["schemas"]["ReadinessDiskBus"];
            /** @description Its firmware. */
            firmware: components["schemas"]["ReadinessFirmware"];
            /**
             * Format: int32
             * @description How many network cards it has. They are virtio cards.
             */
            network_cards: number;
        };
        /**
         * @description How a question was answered.
         * @enum {string}
         */
        ReadinessVerdict: "pass" | "warn" | "fail" | "unknown";
        /** @description Seconds from the drill's request until each rung was passed. */
        RecoveryTimes: {
            /**
             * Format: double
             * @description Until the canary was shown.
             */
            canary_seconds?: number | null;
            /**
             * Format: double
             * @description Until the firmware spoke.
             */
            firmware_seconds?: number | null;
            /**
             * Format: double
             * @description Until the target executed the instance.
             */
            instance_running_seconds?: number | null;
            /**
             * Format: double
             * @description Until the kernel's banner.
             */
            kernel_seconds?: number | null;
            /**
             * Format: double
             * @description Until the login prompt: the recovery time proper.
             */
            login_seconds?: number | null;
            /**
             * Format: double
             * @description Until the root file system was mounted.
             */
            root_mounted_seconds?: number | null;
        };
        /** @description The replica before and after. */
        ReplicaReport: {
            /** @description Digest of the point after the drill. */
            digest_after: string;
            /** @description Digest of the point before the drill. */
            digest_before: string;
            /** @description Whether they agree. */
            unchanged: boolean;
        };
        /** @description The replication axis of a group. */
        Replication: {
            progress?: components["schemas"]["SyncProgress"] | null;
            /** @description Why it is so, in words. */
            reason?: string | null;
            /**
             * Format: date-time
             * @description Since when, where that is known.
             */
            since?: string | null;
            /** @description The state. */
            state: components["schemas"]["ReplicationState"];
        };
        /**
         * @description What the replication of a group is doing.
         * @enum {string}
         */
        ReplicationState: "unprotected" | "initial_sync" | "continuous" | "catching_up" | "disconnected" | "stalled";
        /** @description A report, as lists show it; the report itself is the signed document. */
        Report: {
            /** @description Its BLAKE3 digest, which the next report holds. */
            digest: string;
            /** @description The group. */
            group: string;
            /** @description The name of the group when it was made. */
            group_name: string;
            /** @description Its id. */
            id: string;
            /** @description Whether it is of a failover that was not over: its ladder was climbed, and it could be undone. */
            interim: boolean;
            /** @description What it is about: `drill`, `failover`, `failback` or `restore`. */
            kind: string;
            /**
             * Format: int32
             * @description The level that its indicators were consistent with; null when none.
             */
            level?: number | null;
            /**
             * Format: date-time
             * @description When it was made.
             */
            made_at: string;
            /**
             * Format: int64
             * @description Its number in the installation's chain; the first is 1.
             */
            number: number;
            /**
             * Format: date-time
             * @description When the work was asked for.
             */
            requested_at: string;
            /** @description How the work ended: `passed`, `failed`, `cancelled`, `rolled_back` or `cleanup_failed`. */
            result: string;
            /**
             * Format: int64
             * @description What 95 of 100 parts of the period did not exceed, in milliseconds.
             */
            rpo_p95_ms?: number | null;
            /**
             * Format: int64
             * @description The worst recovery point of its period in milliseconds; null when nobody measured.
             */
            rpo_worst_ms?: number | null;
            /**
             * Format: int64
             * @description The recovery time in milliseconds; null when the machine was not usable.
             */
            rto_ms?: number | null;
            /** @description The id of what it is about. */
            subject: string;
        };
        /** @description The newest report of the chain. */
        ReportHead: {
            /** @description Its BLAKE3 digest. */
            digest: string;
            /**
             * Format: int64
             * @description Its number.
             */
            number: number;
        };
        /** @description The key that reports are signed with. */
        ReportKey: {
            head?: components["schemas"]["ReportHead"] | null;
            /** @description The Ed25519 public key, in hexadecimal. */
            key: string;
            /** @description The same as PEM. */
            pem: string;
        };
        /** @description A restore in place: the source's own disks put back to a point. */
        Restore: {
            /** @description What may be done with it now. */
            allowed_actions: components["schemas"]["Action"][];
            end?: components["schemas"]["RestoreEnd"] | null;
            failure?: components["schemas"]["Failure"] | null;
            /**
             * Format: int64
             * @description Bytes of content that went to the source.
             */
            fetched_bytes: number;
            /**
             * Format: date-time
             * @description When it ended.
             */
            finished_at?: string | null;
            /**
             * Format: int64
             * @description The generation that it took last.
             */
            generation?: number | null;
            /** @description Its group. */
            group: string;
            /** @description The name of its group. */
            group_name: string;
            /** @description Its id. */
            id: string;
            /** @description Its job. */
            job: string;
            loss?: components["schemas"]["LossWindow"] | null;
            /** @description Who asked. */
            operator: string;
            /** @description The point that the disks are put back to. */
            point?: string | null;
            /**
             * Format: date-time
             * @description The time of that point.
             */
            point_time?: string | null;
            progress?: components["schemas"]["RestoreProgress"] | null;
            /**
             * Format: date-time
             * @description When it was asked for.
             */
            requested_at: string;
            /** @description Whether a failover interrupted it; it goes on if that does not become final. */
            set_aside: boolean;
            /** @description What it does there. */
            stage: components["schemas"]["Stage"];
            /** @description The step it is in, or ended in. */
            step: components["schemas"]["Step"];
            /** @description Every step that was begun. */
            steps: components["schemas"]["PlacementStep"][];
            /** @description Whether it is on its way back. */
            turned_back: boolean;
            /** @description Its label. */
            undo_label?: string | null;
            /** @description The point with all that the source held before; the restore is undone with it. */
            undo_point?: string | null;
            /**
             * Format: date-time
             * @description The time of that point.
             */
            undo_time?: string | null;
            /** @description The restore that it undoes, if it does. */
            undoes?: string | null;
            /**
             * Format: int64
             * @description Bytes written to its disks.
             */
            written_bytes: number;
        };
        /**
         * @description How a restore ended.
         * @enum {string}
         */
        RestoreEnd: "restored" | "unprotected" | "put_back" | "failed" | "cancelled" | "failed_over";
        /** @description What a restore would put back. */
        RestorePreview: {
            /** @description Whether a restore can be started now, and why not. */
            allowed_actions: components["schemas"]["Action"][];
            /** @description What was written after it. The restore bookmarks all of it first. */
            loss: components["schemas"]["LossWindow"];
            /** @description The point that the volumes would be put back to. */
            point: components["schemas"]["Point"];
            source?: components["schemas"]["SourceStanding"] | null;
            /** @description The same in a sentence. */
            summary: string;
            /** @description The volumes; all of a group are put back together. */
            volumes: components["schemas"]["RestoreVolume"][];
        };
        /** @description How far the host of the disks is. */
        RestoreProgress: {
            /**
             * Format: int64
             * @description Bytes looked at so far; each is written or compared, and then read back.
             */
            done_bytes: number;
            /**
             * Format: int64
             * @description Bytes to look at in all.
             */
            total_bytes: number;
        };
        /** @description A volume that would be put back. */
        RestoreVolume: {
            /**
             * Format: int64
             * @description Bytes that were written at any time between the point and the newest one, and may differ; null
             *     when that is not known. The source's host compares all of it in any case.
             */
            may_differ_bytes?: number | null;
            /**
             * Format: int64
             * @description Its size in bytes.
             */
            size_bytes?: number | null;
            /** @description Its id. */
            volume: string;
            /** @description Its name. */
            volume_name: string;
        };
        /**
         * @description What a principal is trusted with.
         * @enum {string}
         */
        Role: "viewer" | "operator" | "drill_operator" | "approver" | "admin" | "auditor";
        /**
         * @description One rung; the order of the variants is the order of the climb.
         * @enum {string}
         */
        Rung: "instance_running" | "firmware" | "kernel" | "root_mounted" | "login" | "canary" | "network_address" | "ports" | "http" | "guest_agent" | "script" | "isolation";
        /**
         * @description Regular expressions, each matched against one console line at a time.
         *
         *     An empty pattern switches its rung off: the rung is then reported as "not run".
         */
        RungPatterns: {
            /**
             * @description The line by which the machine shows the last canary it finds on its disk, with the named
             *     groups `time` (RFC 3339, or seconds since 1970) and `sequence`. Empty by default.
             * @default
             */
            canary?: string;
            /**
             * @description A line by which the machine confirms that its canaries are complete. When it is set, the
             *     canary rung needs this line too. Empty by default.
             * @default
             */
            canary_check?: string;
            /**
             * @description Lines after which waiting is pointless; any match fails the drill at once. The default knows
             *     what Linux, its boot loaders and the firmware say; setting this replaces it.
             * @default [
             *       "Kernel panic - not syncing",
             *       "Gave up waiting for root",
             *       "ALERT!\\s+\\S+\\s+does not exist",
             *       "VFS: Unable to mount root fs",
             *       "You are in (emergency|rescue) mode",
             *       "Entering emergency mode",
             *       "Give root password for maintenance",
             *       "Press Enter for maintenance",
             *       "Warning: Could not boot",
             *       "Failed to mount .*sysroot",
             *       "No bootable device",
             *       "No bootable option or device was found",
             *       "UEFI Interactive Shell",
             *       "Entering rescue mode",
             *       "grub rescue>",
             *       "error: unknown filesystem"
             *     ]
             */
            failure?: string[];
            /**
             * @description The firmware or the boot loader speaks.
             * @default SeaBIOS|GRUB|UEFI firmware|BdsDxe|Booting from|ISOLINUX|SYSLINUX|systemd-boot
             */
            firmware?: string;
            /**
             * @description The kernel's banner. A machine booted with `quiet` prints none on its console: take `quiet`
             *     off, or empty this pattern.
             * @default Linux version \d
             */
            kernel?: string;
            /**
             * @description The machine asks for a login.
             * @default \blogin:(\s|$)
             */
            login?: string;
            /**
             * @description Further such lines, beside `failure`. Empty by default.
             * @default []
             */
            more_failure?: string[];
            /**
             * @description A line by which the machine confirms that it reaches no network. When it is set, the
             *     isolation rung needs this line too. Empty by default.
             * @default
             */
            network_isolated?: string;
            /**
             * @description A line by which the machine says that it reached a network. It fails the drill at once.
             *     Empty by default.
             * @default
             */
            network_leak?: string;
            /**
             * @description The root file system is mounted.
             * @default EXT[234]-fs.*mounted filesystem|XFS.*(Ending clean mount|Mounting V\d)|BTRFS.*(mounting|first mount of) filesystem|VFS: Mounted root|Mounted .*sysroot|Switch(ing)? [Rr]oot
             */
            root_mounted?: string;
        };
        /** @description A rung with its result. */
        RungResult: {
            /**
             * Format: double
             * @description When it was decided, in seconds since the drill was requested.
             */
            at_seconds?: number | null;
            /** @description The console line or the observation that decided. */
            observed?: string | null;
            /** @description The probes that it consists of, in the order in which they are made. */
            probes?: components["schemas"]["ProbeResult"][];
            /** @description Why it failed or did not run. */
            reason?: string | null;
            /** @description The rung. */
            rung: components["schemas"]["Rung"];
            /** @description What came out. */
            verdict: components["schemas"]["RungVerdict"];
        };
        /**
         * @description What came out of a rung.
         * @enum {string}
         */
        RungVerdict: "passed" | "failed" | "not_run";
        /** @description How old a group's newest point was, in a part of the time. */
        Sample: {
            /**
             * Format: double
             * @description Seconds in which nobody measured although the group had a point, such as while the cloud side was
             *     stopped.
             */
            blind_seconds: number;
            /**
             * Format: date-time
             * @description When the part begins.
             */
            from: string;
            /**
             * Format: double
             * @description Seconds in which it was measured.
             */
            measured_seconds: number;
            /**
             * Format: double
             * @description The age that was not exceeded in 95 % of the time; null when nothing was measured.
             */
            p95_seconds?: number | null;
            /**
             * Format: date-time
             * @description When it ends.
             */
            to: string;
            /**
             * Format: double
             * @description The greatest age in seconds; null when nothing was measured. Where only some of the time was
             *     not measured, the age counts as growing through it.
             */
            worst_seconds?: number | null;
        };
        /** @description How old a group's newest point was, over a time. */
        Samples: {
            /** @description The group. */
            group: string;
            /** @description The name of the group. */
            group_name: string;
            /** @description The samples, without a gap between them, the oldest first. */
            items: components["schemas"]["Sample"][];
            /**
             * Format: int64
             * @description Seconds of each sample.
             */
            step_seconds: number;
        };
        /** @description A program of the cloud side's host that judges the machine: status 0 passes. */
        ScriptProbe: {
            /** @description What it is called with. */
            arguments?: string[];
            /**
             * @description Ports of a drill's machine that it reaches, each at a Unix socket of its own which its
             *     environment names.
             */
            ports?: number[];
            /** @description Its name among the programs that the host's operator allows to rungs, without a path. */
            program: string;
            /**
             * Format: int32
             * @description Seconds that it may run; default 60, an hour at most.
             */
            timeout_seconds?: number;
        };
        /**
         * @description What is at home to begin with.
         * @enum {string}
         */
        Seed: "original_disk" | "blank_disk" | "unmodified_image";
        /**
         * @description How differences are found.
         * @enum {string}
         */
        SeedMethod: "changed_ranges" | "hash_compare" | "full_copy";
        /** @description Who is known, and what that allows. */
        Session: {
            /** @description What the role allows: the permissions that the document names at each operation. */
            allowed_actions: components["schemas"]["Permission"][];
            /**
             * Format: date-time
             * @description When the session or token ends at the latest; null for a token without an end.
             */
            expires_at?: string | null;
            /** @description The ids of the groups that a token is for; null when it is for the whole installation. */
            groups?: string[] | null;
            /** @description The user's or token's id. */
            id: string;
            /**
             * Format: date-time
             * @description When the session ends if it is not used again; null for a token.
             */
            idle_until?: string | null;
            /** @description Somebody who signed in, or a token. */
            kind: components["schemas"]["PrincipalKind"];
            /** @description The user's name, or what the token is for. */
            name: string;
            /** @description The role. */
            role: components["schemas"]["Role"];
        };
        /** @description The first administrator. */
        Setup: {
            /** @description The name: lower-case letters, digits, and `. _ - @`. */
            name: string;
            /**
             * Format: password
             * @description The password: 12 to 256 characters.
             */
            password: string;
            /**
             * Format: password
             * @description The setup secret that the initialisation printed.
             */
            secret: string;
        };
        /** @description Whether the first administrator is still to be made. */
        SetupState: {
            /** @description Whether the secret that the initialisation printed is still waited for. */
            required: boolean;
        };
        /** @description Who signs in. */
        SignIn: {
            /** @description The user's name. */
            name: string;
            /**
             * Format: password
             * @description The password.
             */
            password: string;
        };
        /**
         * @description One of the two sites of a group.
         * @enum {string}
         */
        Site: "source" | "target";
        /** @description One open socket or network device. */
        SocketEvidence: {
            /**
             * Format: int32
             * @description File descriptor number.
             */
            descriptor: number;
            /** @description The kernel's line about it, or the device's path. */
            detail: string;
            /** @description Kind, such as `unix` or `tcp`; `unknown` when no table of the kernel lists it. */
            kind: string;
        };
        /**
         * @description The duties of a source.
         * @enum {string}
         */
        SourceDuty: "serve" | "stand_by" | "quiesce" | "hold";
        /** @description What a source is told to do. */
        SourceOrder: {
            /** @description The duty. */
            duty: components["schemas"]["SourceDuty"];
            /**
             * Format: int64
             * @description The generation of the order.
             */
            generation: number;
        };
        /**
         * @description Whether a source serves its volumes.
         * @enum {string}
         */
        SourceServing: "writable" | "read_only" | "no";
        /** @description Where a source stands, as it reported last. */
        SourceStanding: {
            /**
             * Format: int64
             * @description The highest generation it knows.
             */
            generation: number;
            /** @description Whether it serves its volumes. */
            serving: components["schemas"]["SourceServing"];
        };
        /** @description Two sites may be taking writes. */
        SplitBrain: {
            keeping?: components["schemas"]["Keeping"] | null;
            /** @description Why it is suspected. */
            reason: components["schemas"]["SplitReason"];
            /**
             * Format: date-time
             * @description Since when.
             */
            since: string;
            /**
             * Format: int64
             * @description The generation that the source knows.
             */
            source_generation: number;
        };
        /**
         * @description Why a split brain is suspected.
         * @enum {string}
         */
        SplitReason: "both_writable" | "newer_generation";
        /**
         * @description What a job does in its step.
         * @enum {string}
         */
        Stage: "working" | "blocked" | "waiting" | "ended";
        /** @description Statuses that pass, such as `200-299` and `401`. */
        StatusSet: string[];
        /**
         * @description One step of a failover, a failback, a restore, or the way out of a split brain.
         * @enum {string}
         */
        Step: "precheck" | "probe_source" | "quiesce_source" | "drain_source" | "place_bookmark" | "fence" | "pin_point" | "create_branch" | "boot_instance" | "climb_rungs" | "await_commit" | "stop_instance" | "fence_back" | "seal_branch" | "release_source" | "inspect_home" | "await_seed" | "hold_home" | "keep_left_behind" | "plan_seed" | "copy_round" | "restore_disks" | "put_back_disks" | "between_rounds" | "quiesce_target" | "final_delta" | "compare_digests" | "fence_home" | "boot_home" | "resume_forward" | "stop_home" | "keep_home_writes" | "restart_target" | "hold_source" | "adopt_generation";
        /**
         * @description How an attempt of a step ended.
         * @enum {string}
         */
        StepOutcome: "done" | "failed" | "abandoned" | "overridden";
        /** @description How far a copy has come. */
        SyncProgress: {
            /**
             * Format: int64
             * @description Bytes compared or copied so far.
             */
            done_bytes: number;
            /**
             * Format: int64
             * @description Bytes to compare or copy in all.
             */
            total_bytes: number;
        };
        /** @description The installation and this process. */
        System: {
            /** @description What this API can do. */
            capabilities: string[];
            /** @description The installation's id. */
            installation: string;
            /** @description Whether the installation key has arrived, without which nothing can be received or read. */
            installation_key: components["schemas"]["KeyPresence"];
            /**
             * Format: date-time
             * @description The cloud side's wall clock.
             */
            now: string;
            /** @description Where gateways reach it, over UDP. */
            ship_address: string;
            /** @description The space of the replica store. */
            space: components["schemas"]["SystemSpace"];
            /**
             * Format: date-time
             * @description When this process started.
             */
            started_at: string;
            /** @description The release. */
            version: string;
        };
        /** @description The space of the replica store, in bytes. */
        SystemSpace: {
            /**
             * Format: int64
             * @description What is free.
             */
            available_bytes: number;
            /** @description Whether new data is being refused. */
            below_floor: boolean;
            /**
             * Format: int64
             * @description What stays free; new data is refused below.
             */
            floor_bytes: number;
            /**
             * Format: int64
             * @description The whole file system.
             */
            total_bytes: number;
        };
        /** @description Production at the target. */
        TargetSide: {
            /** @description The branch it runs on. */
            branch: string;
            /** @description The failover that brought it there. */
            failover: string;
            /** @description The instance it runs in. */
            instance: string;
            /** @description The point at which it parted from the source. */
            point: string;
        };
        /** @description A token for programs; its secret is not kept. */
        Token: {
            /**
             * Format: date-time
             * @description When it was made.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When it ends; null for one that is revoked by hand.
             */
            expires_at?: string | null;
            /** @description The names of the groups that it is for; null for one that is for the whole installation. */
            groups?: string[] | null;
            /** @description The id. */
            id: string;
            /** @description What it is for. */
            name: string;
            /** @description What it allows. */
            role: components["schemas"]["Role"];
        };
        /** @description Whose certificates are believed. */
        Trust: "system" | {
            /** @description Those of these authorities alone: certificates in PEM form. */
            authorities: string;
        } | "insecure";
        /**
         * @description Why a part of the loss cannot be told.
         * @enum {string}
         */
        UnknownLoss: "source_told_nothing" | "other_incarnation" | "not_counted" | "clocks_contradict";
        /** @description A range of unknown contents. */
        UnknownRange: {
            /**
             * Format: int64
             * @description Bytes.
             */
            length: number;
            /**
             * Format: int64
             * @description First byte.
             */
            offset: number;
            /** @description The volume's id. */
            volume: string;
        };
        /** @description Somebody who signs in with a password. */
        User: {
            /**
             * Format: date-time
             * @description When the user was made.
             */
            created_at: string;
            /** @description Whether signing in is refused. */
            disabled: boolean;
            /** @description The id. */
            id: string;
            /** @description The name to sign in with. */
            name: string;
            /**
             * Format: date-time
             * @description When the password was set.
             */
            password_set_at: string;
            /** @description What the user may do. */
            role: components["schemas"]["Role"];
        };
        /** @description What is to be changed; what is left out stays. */
        UserChange: {
            /** @description Whether signing in is refused. */
            disabled?: boolean | null;
            role?: components["schemas"]["Role"] | null;
        };
        /** @description A view: the readable image of a group's volumes at a point. */
        View: {
            /** @description What may be done with it now, and why not. */
            allowed_actions: components["schemas"]["Action"][];
            /** @description The branch whose history it shows; null when that is the group's own. */
            branch?: string | null;
            /** @description The drill that it is for. */
            drill?: string | null;
            /** @description Its group. */
            group: string;
            /** @description The name of its group. */
            group_name: string;
            /** @description Its id. */
            id: string;
            /**
             * Format: date-time
             * @description When it is closed by itself.
             */
            lease_expires?: string | null;
            /**
             * Format: date-time
             * @description When it was opened.
             */
            opened_at: string;
            /** @description The point it shows. */
            point: components["schemas"]["Point"];
            /** @description Why it is not, or why a reader of it got an error. */
            reason?: string | null;
            /** @description Whether it is being served. */
            state: components["schemas"]["ViewState"];
            /** @description Its volumes, in the order of the machine's disks. */
            volumes: components["schemas"]["ViewVolume"][];
        };
        /**
         * @description Whether a view is being served.
         * @enum {string}
         */
        ViewState: "open" | "failed";
        /** @description A volume of a view. */
        ViewVolume: {
            /** @description Its id. */
            id: string;
            /** @description Its name, which is the name of its export too. */
            name: string;
            /** @description Where it is served, on this host: `nbd+unix:///NAME?socket=PATH`. */
            nbd: string;
            /**
             * Format: int64
             * @description Its size in bytes.
             */
            size_bytes: number;
        };
        /** @description A protected volume. */
        Volume: {
            /** @description Its group. */
            group: string;
            /** @description The name of its group. */
            group_name: string;
            /** @description Its id. */
            id: string;
            /** @description Its name, unique in its group. */
            name: string;
            /**
             * Format: int32
             * @description The number the stream uses; null before the capture told it.
             */
            number?: number | null;
            /**
             * Format: int64
             * @description Its size in bytes.
             */
            size_bytes?: number | null;
            /**
             * Format: int64
             * @description Writes by the application since the capture started; null while it is not connected.
             */
            writes?: number | null;
            /**
             * Format: int64
             * @description Bytes written by the application since the capture started; null while it is not connected.
             */
            written_bytes?: number | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    list_alert_channels: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertChannels"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    test_alert_channel: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The channel's name */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It was tried; the body says whether it was taken */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertChannelTest"];
                };
            };
            /** @description There is no such channel */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_alerts: {
        parameters: {
            query?: {
                /** @description Only those of this code. */
                code?: "rpo_breach" | "stalled" | "disconnected" | "untracked" | "unprotected" | "journal_filling" | "replica_space_low" | "drill_overdue" | "cleanup_pending" | "commit_pending" | "split_brain_suspected" | "placement_blocked" | "readiness_failed" | "replica_damaged" | "clock_skew" | "certificate_expiring" | "report_owed" | "delivery_failed";
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
                /** @description Only those about the object with this id or name; a group's name takes in its volumes. */
                object?: string;
                /** @description Only those that are this bad. */
                severity?: components["schemas"]["AlertSeverity"];
                /** @description Only those that stand so; all by default. */
                state?: "active" | "raised" | "acknowledged" | "cleared";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Alert"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_alert: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The alert's id */
                alert: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertDetail"];
                };
            };
            /** @description There is no such alert */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    acknowledge_alert: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The alert's id */
                alert: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AcknowledgeAlert"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertDetail"];
                };
            };
            /** @description There is no such alert */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It is cleared, or was acknowledged before */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    mute_alert: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The alert's id */
                alert: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MuteAlert"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertDetail"];
                };
            };
            /** @description There is no such alert */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It is cleared */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    unmute_alert: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The alert's id */
                alert: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertDetail"];
                };
            };
            /** @description There is no such alert */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Nothing mutes it */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_audit: {
        parameters: {
            query?: {
                /** @description Only those of this operation. */
                action?: string;
                /** @description Only those of this actor, by name or id. */
                actor?: string;
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Not before this time (RFC 3339). */
                from?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
                /** @description Only those about this object, by kind, name or id. */
                object?: string;
                /** @description `newest_first`, which is the default, or `oldest_first`. */
                order?: "newest_first" | "oldest_first";
                /** @description Only those with this outcome: `begun`, `allowed`, `refused`, `failed` or `unknown`. */
                outcome?: "begun" | "allowed" | "refused" | "failed" | "unknown";
                /** @description Not after this time (RFC 3339). */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPage"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    export_audit: {
        parameters: {
            query?: {
                /** @description From the first entry at or after this time (RFC 3339); all by default. */
                from?: string;
                /** @description To the first entry after this time, and on to the next signed head. */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Lines of JSON; docs/format/audit.md draws them */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/jsonl": string;
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_audit_head: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditHead"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_branches: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Branch"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_branch: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The branch's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Branch"];
                };
            };
            /** @description There is no such branch */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    remove_branch: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The branch's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            /** @description Nothing of it is left */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such branch */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It is needed */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_branch_points: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those whose time is at or after this (RFC 3339). */
                from?: string;
                /** @description Only those of this kind. */
                kind?: "crash_consistent" | "application_consistent" | "bookmark";
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
                /** @description Only those whose time is at or before this. */
                to?: string;
            };
            header?: never;
            path: {
                /** @description The branch's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Point"];
                };
            };
            /** @description There is no such branch */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    export_configuration: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of an answer that is known */
                "If-None-Match"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Configuration"];
                };
            };
            /** @description It is the answer that is known */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    apply_configuration: {
        parameters: {
            query?: {
                /** @description With true nothing is changed: the answer is what would be, or why it would be refused. */
                dry_run?: boolean;
                /**
                 * @description With true what is not in a part of the document is removed, but for groups; false by default. A
                 *     part that is left out is left alone.
                 */
                prune?: boolean;
            };
            header?: {
                /** @description The ETag of the configuration as it was read */
                "If-Match"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Configuration"];
            };
        };
        responses: {
            /** @description It is as the document says, or would be */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConfigurationApplied"];
                };
            };
            /** @description A part of it was applied: the body says which, and why not the rest */
            207: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConfigurationApplied"];
                };
            };
            /** @description It was changed meanwhile; nothing was applied */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The document has faults; faults lists each with its part, cause and remedy. Nothing was applied */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused; nothing was applied */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_drills: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Drill"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    start_drill: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gets the same drill, for a day */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewDrill"];
            };
        };
        responses: {
            /** @description Asked for; Location names its job */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Drill"];
                };
            };
            /** @description A drill of the group is running */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_drill: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The drill's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Drill"];
                };
            };
            /** @description There is no such drill */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    stop_drill: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The drill's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Being stopped */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Drill"];
                };
            };
            /** @description There is no such drill */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It has ended */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    read_evidence: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The file's name, as the drill lists it, or drill.json, report.json, report.html, runbook.html */
                file: string;
                /** @description The drill's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            /** @description There is no such drill or file */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_drill_screen: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The drill's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A picture */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/png": number[];
                };
            };
            /** @description There is no such drill */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Its machine does not run */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_events: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on; any event's id. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description Only those of this kind. A reset is always shown. */
                kind?: "changed" | "removed" | "reset";
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
                /** @description Only those about this kind of object. */
                object?: "group" | "job" | "drill" | "drill_schedule" | "placement" | "failover" | "failback" | "restore" | "plan" | "plan_run" | "branch" | "view" | "readiness" | "report" | "alert" | "alert_mutes" | "user" | "token";
                /** @description `newest_first`, which is the default, or `oldest_first`. */
                order?: "newest_first" | "oldest_first";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Event"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    follow_events: {
        parameters: {
            query?: {
                /** @description From after this event on, for a client that cannot send `Last-Event-ID`; that header wins. */
                after?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description Only those of this kind. A reset is always told. */
                kind?: "changed" | "removed" | "reset";
                /** @description Only those about this kind of object. */
                object?: "group" | "job" | "drill" | "drill_schedule" | "placement" | "failover" | "failback" | "restore" | "plan" | "plan_run" | "branch" | "view" | "readiness" | "report" | "alert" | "alert_mutes" | "user" | "token";
            };
            header?: {
                /** @description The id of the last event that was received */
                "Last-Event-ID"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Server-sent events, without end */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description Too many clients follow the events */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_failbacks: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Failback"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    start_failback: {
        parameters: {
            query?: never;
            header?: {
                /** @description A request with the same key starts nothing twice */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewFailback"];
            };
        };
        responses: {
            /** @description Started; Location names its job */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failback"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key was used with another request */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_failback: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failback's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failback"];
                };
            };
            /** @description There is no such failback */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancel_failback: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failback's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failback"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    commit_failback: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failback's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failback"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    confirm_failback_disks: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failback's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ConfirmedDisks"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failback"];
                };
            };
            /** @description It is not allowed now, or they are other disks */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cut_over_failback: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failback's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failback"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    retry_failback: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failback's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failback"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    rollback_failback: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failback's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failback"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_failovers: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Failover"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    start_failover: {
        parameters: {
            query?: never;
            header?: {
                /** @description A request with the same key starts nothing twice */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewFailover"];
            };
        };
        responses: {
            /** @description Started; Location names its job */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failover"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It is not confirmed, or the key was used with another request */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_failover: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failover's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failover"];
                };
            };
            /** @description There is no such failover */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancel_failover: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failover's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failover"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    commit_failover: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failover's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failover"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    retry_failover: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failover's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failover"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    rollback_failover: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failover's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failover"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_failover_screen: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The failover's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A picture */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/png": number[];
                };
            };
            /** @description There is no such failover */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Its machine does not run */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_groups: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Group"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    create_group: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewGroup"];
            };
        };
        responses: {
            /** @description Made; Location names it */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Group"];
                };
            };
            /** @description The name is taken */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_group: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Group"];
                };
            };
            /** @description There is no such group */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_drill_schedule: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of an answer that is known */
                "If-None-Match"?: string;
            };
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DrillSchedule"];
                };
            };
            /** @description It is the answer that is known */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such group, or it has no schedule */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    set_drill_schedule: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of the schedule as it was read */
                "If-Match"?: string;
                /** @description * for a group that must have none yet */
                "If-None-Match"?: "*";
            };
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSchedule"];
            };
        };
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DrillSchedule"];
                };
            };
            /** @description There is no such group */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It was changed meanwhile */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    remove_drill_schedule: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of the schedule as it was read */
                "If-Match"?: string;
            };
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is removed */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such group, or it has no schedule */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It was changed meanwhile */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    preview_failover: {
        parameters: {
            query?: {
                /** @description The instant: a point id, a label, an RFC 3339 time, or latest, the default. */
                at?: string;
                /** @description When production stopped, if it is known. */
                interrupted_at?: string;
            };
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FailoverPreview"];
                };
            };
            /** @description There is no such group or point */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_placement: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Placement"];
                };
            };
            /** @description There is no such group */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    keep_source: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Placement"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    keep_target: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Placement"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    retry_placement: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Placement"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_points: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those whose time is at or after this (RFC 3339). */
                from?: string;
                /** @description Only those of this kind. */
                kind?: "crash_consistent" | "application_consistent" | "bookmark";
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
                /** @description Only those whose time is at or before this. */
                to?: string;
            };
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Point"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    create_point: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gets the same job, for a day */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewPoint"];
            };
        };
        responses: {
            /** @description Asked for; Location names the job */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description The label is taken, or no point can be made now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    nearest_point: {
        parameters: {
            query: {
                /** @description The instant, in RFC 3339. */
                at: string;
            };
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Point"];
                };
            };
            /** @description There is no point that early */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_point: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
                /** @description The point's id or label, an RFC 3339 time for the newest point at or before it, or latest */
                point: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Point"];
                };
            };
            /** @description There is no such point */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_point_readiness: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
                /** @description The point's id or label, an RFC 3339 time for the newest point at or before it, or latest */
                point: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PointReadiness"];
                };
            };
            /** @description There is no such point, or it was not inspected */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    check_point_readiness: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gets the same job, for a day */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description The group's id or name */
                group: string;
                /** @description The point's id or label, an RFC 3339 time for the newest point at or before it, or latest */
                point: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewInspection"];
            };
        };
        responses: {
            /** @description Asked for; Location names the job */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description A point of the group is being inspected */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    preview_restore: {
        parameters: {
            query: {
                /** @description The instant: a point id, a label, an RFC 3339 time, or latest. */
                at: string;
            };
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RestorePreview"];
                };
            };
            /** @description There is no such group or point */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    read_runbook: {
        parameters: {
            query?: {
                /** @description `en` or `zh`; by default what the configuration says. */
                lang?: "en" | "zh" | "zh-CN";
            };
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            /** @description There is no such group */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_samples: {
        parameters: {
            query?: {
                /**
                 * @description When the first sample begins (RFC 3339), taken back to the whole hour; 24 hours before the end by
                 *     default.
                 */
                from?: string;
                /** @description Seconds of each sample: whole hours, which is how the history is kept; 3600 by default. */
                step?: number;
                /** @description When the last sample ends, at the earliest; now by default. */
                to?: string;
            };
            header?: never;
            path: {
                /** @description The group's id or name */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Samples"];
                };
            };
            /** @description There is no such group */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_jobs: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Job"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_job: {
        parameters: {
            query?: {
                /**
                 * @description Answer when the job has ended, or after this many seconds, at most 60. `Prefer: wait=N` does
                 *     the same.
                 */
                wait_seconds?: number;
            };
            header?: never;
            path: {
                /** @description The job's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description There is no such job */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_plan_runs: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
                /** @description Only those of this plan. */
                plan?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_PlanRun"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    start_plan_run: {
        parameters: {
            query?: never;
            header?: {
                /** @description A request with the same key starts nothing twice */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewPlanRun"];
            };
        };
        responses: {
            /** @description Started; Location names the run */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanRun"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It is not confirmed, or the key was used with another request */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_plan_run: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The run's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanRun"];
                };
            };
            /** @description There is no such run */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    approve_plan_step: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The run's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PlanStepApproval"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanRun"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancel_plan_run: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The run's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PlanRunCancellation"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanRun"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    retry_plan_step: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The run's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PlanStepRetry"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanRun"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    skip_plan_step: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The run's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PlanStepSkip"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanRun"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_plans: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Plan"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_plan: {
        parameters: {
            query?: {
                /** @description The version; the newest by default. */
                version?: number;
            };
            header?: {
                /** @description The ETag of an answer that is known */
                "If-None-Match"?: string;
            };
            path: {
                /** @description The plan's name */
                plan: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description It is the answer that is known */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such plan or version */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    apply_plan: {
        parameters: {
            query?: {
                /** @description With true nothing is changed: the answer is what the plan would be, or why it would be refused. */
                dry_run?: boolean;
            };
            header?: {
                /** @description The ETag of the version that this one follows; "0" for the first */
                "If-Match"?: string;
                /** @description * for the first version */
                "If-None-Match"?: "*";
            };
            path: {
                /** @description The plan's name, as in the document */
                plan: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PlanDocument"];
            };
        };
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description It was changed meanwhile */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It has faults; faults lists each with its step, cause and remedy */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    remove_plan: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of the version that is to be removed */
                "If-Match"?: string;
            };
            path: {
                /** @description The plan's name */
                plan: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is removed */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such plan */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A run of it has not ended */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It was changed meanwhile */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    check_plan: {
        parameters: {
            query?: {
                /** @description The one time of all groups (RFC 3339), or latest, the default. */
                at?: string;
                /** @description When production stopped (RFC 3339): what an emergency would lose counts to it. */
                interrupted_at?: string;
                /** @description What the run is to do; drill by default. */
                mode?: "drill" | "planned" | "emergency";
                /** @description Only these steps, separated by commas. */
                only?: string;
                /** @description Whether to look at what steps would find outside, which may take 20 seconds; true by default. */
                outside?: boolean;
                /** @description Only steps at least as urgent. */
                priority?: number;
            };
            header?: never;
            path: {
                /** @description The plan's name */
                plan: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanCheck"];
                };
            };
            /** @description There is no such plan */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    forecast_plan: {
        parameters: {
            query?: {
                /** @description What the run is to do; drill by default. */
                mode?: "drill" | "planned" | "emergency";
                /** @description Only these steps, separated by commas. */
                only?: string;
                /** @description Only steps at least as urgent. */
                priority?: number;
            };
            header?: never;
            path: {
                /** @description The plan's name */
                plan: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanForecast"];
                };
            };
            /** @description There is no such plan */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_reports: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Report"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_report: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The report's id, or its drill's, failover's, failback's or restore's */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The signed document; docs/format/report.md draws it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            /** @description There is no such report */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    read_report: {
        parameters: {
            query?: {
                /** @description `en` or `zh`; by default what the configuration says. */
                lang?: "en" | "zh" | "zh-CN";
            };
            header?: never;
            path: {
                /** @description As for the report itself */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            /** @description There is no such report */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_report_key: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReportKey"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_report_trend: {
        parameters: {
            query?: {
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description The newest so many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description `rows`, one for each drill's report */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    read_report_trend: {
        parameters: {
            query?: {
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description `en` or `zh`. */
                lang?: "en" | "zh" | "zh-CN";
                /** @description The newest so many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_restores: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Restore"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    start_restore: {
        parameters: {
            query?: never;
            header?: {
                /** @description A request with the same key starts nothing twice */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewRestore"];
            };
        };
        responses: {
            /** @description Started; Location names its job */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Restore"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It is not confirmed, or the key was used with another request */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_restore: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The restore's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Restore"];
                };
            };
            /** @description There is no such restore */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancel_restore: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The restore's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Restore"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    confirm_restore_disks: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The restore's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ConfirmedDisks"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Restore"];
                };
            };
            /** @description It is not allowed now, or they are not its volumes */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    retry_restore: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The restore's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Restore"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    undo_restore: {
        parameters: {
            query?: never;
            header?: {
                /** @description A request with the same key starts nothing twice */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description The restore's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Confirmation"];
            };
        };
        responses: {
            /** @description Another restore is started; Location names its job */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Restore"];
                };
            };
            /** @description It is not allowed now */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It is not confirmed, or the key was used with another request */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_session: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            /** @description Nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sign_in: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SignIn"];
            };
        };
        responses: {
            /** @description Signed in; Set-Cookie has the session */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            /** @description Name or password are wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many attempts failed; Retry-After says when to go on */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sign_out: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Signed out */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is a token, not a session */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    change_own_password: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PasswordChange"];
            };
        };
        responses: {
            /** @description Changed; Set-Cookie has the new session */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            /** @description The current password is wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is a token, not a session */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_setup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Whether it is to be done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SetupState"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    set_up: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Setup"];
            };
        };
        responses: {
            /** @description Made; sign in now */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description The secret is wrong */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It was done before */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many attempts */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["System"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_tokens: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Token"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    create_token: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewToken"];
            };
        };
        responses: {
            /** @description Made */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MadeToken"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    revoke_token: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The token's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoked */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such token */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_users: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_User"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    create_user: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewUser"];
            };
        };
        responses: {
            /** @description Made; Location names the user */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description There is a user with this name */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_user: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of an answer that is known */
                "If-None-Match"?: string;
            };
            path: {
                /** @description The user's id or name */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description It is the answer that is known */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such user */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    remove_user: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of the user as it was read */
                "If-Match"?: string;
            };
            path: {
                /** @description The user's id or name */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Removed */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such user */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Nobody could administer any more */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The user was changed meanwhile */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    change_user: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of the user as it was read */
                "If-Match"?: string;
            };
            path: {
                /** @description The user's id or name */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UserChange"];
            };
        };
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description There is no such user */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Nobody could administer any more */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The user was changed meanwhile */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    set_user_password: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag of the user as it was read */
                "If-Match"?: string;
            };
            path: {
                /** @description The user's id or name */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewPassword"];
            };
        };
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description There is no such user */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The user was changed meanwhile */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_views: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_View"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    open_view: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewView"];
            };
        };
        responses: {
            /** @description Open; Location names it */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["View"];
                };
            };
            /** @description There is no such group or point */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_view: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The view's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["View"];
                };
            };
            /** @description There is no such view */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    close_view: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The view's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Closed */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such view */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_volumes: {
        parameters: {
            query?: {
                /** @description Where an earlier page said the list goes on. */
                cursor?: string;
                /** @description Only those of this group, named by id or name. */
                group?: string;
                /** @description At most this many, 1 to 1000; 100 by default. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Volume"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_volume: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The volume's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Volume"];
                };
            };
            /** @description There is no such volume */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
