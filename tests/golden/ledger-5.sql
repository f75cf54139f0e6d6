BEGIN TRANSACTION;
CREATE TABLE artifacts (
	sweep VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (sweep, path), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id)
);
INSERT INTO "artifacts" VALUES('0123456789abcdef','report.html',X'3C703E783C2F703E');
CREATE TABLE attempts (
	"key" VARCHAR(32) NOT NULL, 
	attempt INTEGER NOT NULL, 
	sweep VARCHAR(64) NOT NULL, 
	started DOUBLE NOT NULL, 
	ended DOUBLE, 
	reason TEXT, 
	charge INTEGER NOT NULL, 
	place TEXT NOT NULL, 
	PRIMARY KEY ("key", attempt), 
	FOREIGN KEY("key") REFERENCES trials ("key"), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id)
);
INSERT INTO "attempts" VALUES('f9550ea5caeedd5dc1ee6d95bb5bd16a',1,'0123456789abcdef',1000.0,1000.0,'committed',0,'gpu-03/41');
INSERT INTO "attempts" VALUES('4f275320880c44acd09a94a73fecbdde',1,'0123456789abcdef',1000.0,1000.0,'committed',0,'gpu-03/41');
INSERT INTO "attempts" VALUES('696ae61a192288e2b5c101f6d1ca062d',1,'0123456789abcdef',1000.0,1000.0,'worker died',1,'gpu-03/41');
INSERT INTO "attempts" VALUES('696ae61a192288e2b5c101f6d1ca062d',2,'0123456789abcdef',1000.0,1000.0,'worker died',1,'gpu-03/41');
INSERT INTO "attempts" VALUES('696ae61a192288e2b5c101f6d1ca062d',3,'0123456789abcdef',1000.0,1000.0,'worker died',1,'gpu-03/41');
INSERT INTO "attempts" VALUES('da771b60cb5cef97050b33d88c782e5d',1,'0123456789abcdef',1000.0,1000.0,'worker died',1,'gpu-03/41');
INSERT INTO "attempts" VALUES('31077148aa478e8535908b8bbb9b4102',1,'0123456789abcdef',1000.0,NULL,NULL,0,'');
CREATE TABLE builds (
	id VARCHAR(16) NOT NULL, 
	versions TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "builds" VALUES('2183c0024716eb05','{"commit":"d4fce3745bcc+","machine":"x86_64","numpy":"2.4.6","phasefront":"0.1.0","python":"3.11.7","ray":"2.60.0","scipy":"1.17.1","torch":"2.13.0+cpu"}');
CREATE TABLE cells (
	"key" VARCHAR(32) NOT NULL, 
	target TEXT NOT NULL, 
	learner TEXT NOT NULL, 
	target_revision INTEGER NOT NULL, 
	learner_revision INTEGER NOT NULL, 
	d BIGINT NOT NULL, 
	n BIGINT NOT NULL, 
	k BIGINT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "cells" VALUES('50f056616af6ac9a9ef6a92312dccf1c','{"kind":"random_labels"}','{"kind":"linear_separator","steps":200}',1,1,10,20,1);
CREATE TABLE curves (
	"key" VARCHAR(32) NOT NULL, 
	points TEXT NOT NULL, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY("key") REFERENCES trials ("key")
);
INSERT INTO "curves" VALUES('f9550ea5caeedd5dc1ee6d95bb5bd16a','{"train_loss":[[1,2,5],[0.693147,0.5,1e-12]]}');
CREATE TABLE drivers (
	sweep VARCHAR(64) NOT NULL, 
	epoch INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	since DOUBLE NOT NULL, 
	PRIMARY KEY (sweep), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id)
);
INSERT INTO "drivers" VALUES('0123456789abcdef',1,'gpu-03',40,1000.0);
CREATE TABLE figures (
	sweep VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	value DOUBLE NOT NULL, 
	published DOUBLE NOT NULL, 
	PRIMARY KEY (sweep, name), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id)
);
INSERT INTO "figures" VALUES('0123456789abcdef','n_star',20.5,1000.0);
CREATE TABLE gaps (
	sweep VARCHAR(64) NOT NULL, 
	"key" VARCHAR(32) NOT NULL, 
	attempt INTEGER NOT NULL, 
	given_up DOUBLE NOT NULL, 
	reasons TEXT NOT NULL, 
	checksum VARCHAR(16) NOT NULL, 
	PRIMARY KEY (sweep, "key"), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id), 
	FOREIGN KEY("key") REFERENCES trials ("key")
);
INSERT INTO "gaps" VALUES('0123456789abcdef','696ae61a192288e2b5c101f6d1ca062d',3,1000.0,'["worker died","worker died","worker died"]','5760a9f4718dcdc3');
CREATE TABLE ledger_schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "ledger_schema" VALUES(5);
CREATE TABLE lessons (
	"key" VARCHAR(32) NOT NULL, 
	name TEXT NOT NULL, 
	kept DOUBLE NOT NULL, 
	times INTEGER NOT NULL, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY("key") REFERENCES trials ("key")
);
INSERT INTO "lessons" VALUES('f9550ea5caeedd5dc1ee6d95bb5bd16a','00000000000000000000000000000000.npz',1000.0,1);
CREATE TABLE members (
	sweep VARCHAR(64) NOT NULL, 
	"key" VARCHAR(32) NOT NULL, 
	arm INTEGER NOT NULL, 
	round INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	cached BOOLEAN NOT NULL, 
	PRIMARY KEY (sweep, "key"), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id), 
	FOREIGN KEY("key") REFERENCES trials ("key")
);
INSERT INTO "members" VALUES('0123456789abcdef','31077148aa478e8535908b8bbb9b4102',0,0,4,0);
INSERT INTO "members" VALUES('0123456789abcdef','4f275320880c44acd09a94a73fecbdde',0,0,1,0);
INSERT INTO "members" VALUES('0123456789abcdef','696ae61a192288e2b5c101f6d1ca062d',0,0,2,0);
INSERT INTO "members" VALUES('0123456789abcdef','da771b60cb5cef97050b33d88c782e5d',0,0,3,0);
INSERT INTO "members" VALUES('0123456789abcdef','f9550ea5caeedd5dc1ee6d95bb5bd16a',0,0,0,0);
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	sweep VARCHAR(64) NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	subject TEXT NOT NULL, 
	payload TEXT, 
	queued DOUBLE NOT NULL, 
	sent BOOLEAN NOT NULL, 
	FOREIGN KEY(sweep) REFERENCES sweeps (id)
);
INSERT INTO "outbox" VALUES(1,'0123456789abcdef','sweep','',NULL,1000.0,0);
INSERT INTO "outbox" VALUES(2,'0123456789abcdef','trial','f9550ea5caeedd5dc1ee6d95bb5bd16a',NULL,1000.0,0);
INSERT INTO "outbox" VALUES(3,'0123456789abcdef','trial','4f275320880c44acd09a94a73fecbdde',NULL,1000.0,0);
INSERT INTO "outbox" VALUES(4,'0123456789abcdef','gap','696ae61a192288e2b5c101f6d1ca062d',NULL,1000.0,0);
INSERT INTO "outbox" VALUES(5,'0123456789abcdef','metrics','','{"n_star":20.5}',1000.0,0);
INSERT INTO "outbox" VALUES(6,'0123456789abcdef','artifact','report.html',NULL,1000.0,0);
CREATE TABLE reusable (
	sweep VARCHAR(64) NOT NULL, 
	trials TEXT NOT NULL, 
	checksum VARCHAR(16) NOT NULL, 
	PRIMARY KEY (sweep), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id)
);
CREATE TABLE rounds (
	sweep VARCHAR(64) NOT NULL, 
	number INTEGER NOT NULL, 
	asks TEXT NOT NULL, 
	checksum VARCHAR(16) NOT NULL, 
	PRIMARY KEY (sweep, number), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id)
);
INSERT INTO "rounds" VALUES('0123456789abcdef',0,'[{"arm":0,"point":{"d":10,"k":1,"n":20},"repeats":5,"tuned":{}}]','eb7ca3ec0d70092a');
CREATE TABLE sweeps (
	id VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	spec_json TEXT NOT NULL, 
	spec_source TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	started DOUBLE NOT NULL, 
	stopped_by VARCHAR(16), 
	ended DOUBLE, 
	plugins TEXT NOT NULL, 
	mlflow_run VARCHAR(64), 
	PRIMARY KEY (id)
);
INSERT INTO "sweeps" VALUES('0123456789abcdef','cover','{"axes":{"d":[10],"n":{"high":50,"low":5,"spacing":"linear"}},"format":1,"name":"cover","pairs":[{"learner":{"kind":"linear_separator","steps":200},"target":{"kind":"random_labels"}}],"repeats":20,"resources":{"gpus":0.0,"minutes_per_trial":5.0},"search":{"confidence":0.95,"kind":"threshold","level":0.5,"max_hours":null,"max_trials":null,"round":32,"tolerance":0.05},"seed":0,"success":{"above":0.0,"measure":"train_error"},"theory":[]}','# How many points?
name: cover
','running',1000.0,NULL,NULL,'[]',NULL);
CREATE TABLE trials (
	"key" VARCHAR(32) NOT NULL, 
	cell VARCHAR(32) NOT NULL, 
	repeat BIGINT NOT NULL, 
	seed BIGINT NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	attempt INTEGER NOT NULL, 
	outcome VARCHAR(16), 
	measures TEXT, 
	seconds DOUBLE, 
	settled DOUBLE, 
	place TEXT, 
	build VARCHAR(16), 
	checksum VARCHAR(16), 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(cell) REFERENCES cells ("key"), 
	FOREIGN KEY(build) REFERENCES builds (id)
);
INSERT INTO "trials" VALUES('31077148aa478e8535908b8bbb9b4102','50f056616af6ac9a9ef6a92312dccf1c',4,0,'open',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "trials" VALUES('4f275320880c44acd09a94a73fecbdde','50f056616af6ac9a9ef6a92312dccf1c',1,0,'done',1,'diverged','{"train_error":0.25}',0.5,1000.0,'gpu-03/41','2183c0024716eb05','215c8c73bd5b120e');
INSERT INTO "trials" VALUES('696ae61a192288e2b5c101f6d1ca062d','50f056616af6ac9a9ef6a92312dccf1c',2,0,'open',3,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "trials" VALUES('da771b60cb5cef97050b33d88c782e5d','50f056616af6ac9a9ef6a92312dccf1c',3,0,'open',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "trials" VALUES('f9550ea5caeedd5dc1ee6d95bb5bd16a','50f056616af6ac9a9ef6a92312dccf1c',0,0,'done',1,'fitted','{"r_squared":0.3333333333333333,"smallest":5e-324,"train_error":0.1,"zero":-0.0}',0.5,1000.0,'gpu-03/41','2183c0024716eb05','3ab4c9dfb766f518');
CREATE TABLE whereabouts (
	sweep VARCHAR(64) NOT NULL, 
	noted DOUBLE NOT NULL, 
	packs TEXT NOT NULL, 
	PRIMARY KEY (sweep), 
	FOREIGN KEY(sweep) REFERENCES sweeps (id)
);
INSERT INTO "whereabouts" VALUES('0123456789abcdef',1000.0,'[{"deadline":1300.0,"keys":["31077148aa478e8535908b8bbb9b4102"],"lease":1060.0,"pack":"pack-7","since":1000.0,"where":"gpu-03/41"}]');
CREATE INDEX trials_by_cell ON trials (cell);
CREATE INDEX outbox_by_subject ON outbox (subject);
CREATE INDEX outbox_unsent ON outbox (sweep, id) WHERE sent = 0;
CREATE INDEX members_by_key ON members ("key");
CREATE INDEX attempts_open ON attempts (sweep) WHERE ended IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',6);
COMMIT;
