package joblist

import (
	"fmt"
	"strings"
	"testing"
)

// oneID ends what is said of a list that is neither ids nor CSV.
const oneID = ": one job id a line is expected, or a CSV with a column job_id"

func TestCSVColumns(t *testing.T) {
	expect(t, "Team,JOB_ID,Project_Id,cost center\nweb, 12 ,q,\"4, 5\"\n,13,,\n", Options{Project: "p"},
		"q/12 [Team:web cost center:4, 5]", "p/13")
	expect(t, "job_id, team\n12, \"a \"\"b\"\"\"\n", Options{Project: "p"}, `p/12 [team:a "b"]`)
	expect(t, ",job_id,\n0,12,x\n", Options{Project: "p"}, "p/12")
}

// Spreadsheets separate by semicolons where a comma stands before decimals, and say so.
func TestCSVSeparators(t *testing.T) {
	p := Options{Project: "p"}
	expect(t, "job_id;team\n12;\"a; b\"\n13;1,5\n", p, "p/12 [team:a; b]", "p/13 [team:1,5]")
	expect(t, "team;\"Job_ID\"\r\na;12\r\n", p, "p/12 [team:a]")
	expect(t, "sep=;\r\njob_id;team\r\n12;a\r\n", p, "p/12 [team:a]")
	expect(t, "\ufeff\"sep=;\"\njob_id\n12\n", p, "p/12")
	expect(t, "sep=,\njob_id,a;b\n12,x\n", p, "p/12 [a;b:x]")
	expect(t, "sep=;\nid;team\n12;a\n", p, `end list line 2: the header of the CSV has no column job_id, only "id;team"`+oneID)
	expect(t, "SEP=;\njob_id,x;team\n12,y;a\n", p, `end list line 2: the header of the CSV has no column job_id, only "job_id,x;team"`+oneID)
	expect(t, "Sep=;\nteam;job_id\na,b;12\n", p, "p/12 [team:a,b]")
	expect(t, "sep=;\n", p)
	expect(t, "sep=|\njob_id|a\n12|x\n", p, `end list line 1: "sep=|" names a separator that is neither , nor ;`)
	expect(t, "job_id\tteam\n12\ta\n", p, "end list line 1: the columns of the CSV are separated by tabs: separate them by , or ;")
}

// A name that can't be shown is none, whatever the encoding.
func TestCSVColumnsWithoutAName(t *testing.T) {
	p := Options{Project: "p"}
	expect(t, "\u200b,job_id,\u200b,a\n0,12,1,x\n", p, "p/12 [a:x]")
	expect(t, "\xd7\xf7\xd2\xb5,job_id,\xc3\xfb\xd7\xd6\n0,12,1\n", p, "p/12") // GBK
	expect(t, "\xd7\xf7;job_id\n0;12\n", p, "p/12")
}

func TestCSVHeaderIsBad(t *testing.T) {
	p := Options{Project: "p"}
	expect(t, "id,team\n", p, `end list line 1: the header of the CSV has no column job_id, only "id,team"`+oneID)
	expect(t, "\njob_id,JOB_ID\n1,2\n", p, `end list line 2: column "JOB_ID" is there twice`)
	expect(t, "job_id,a, a\n1,2,3\n", p, `end list line 1: column "a" is there twice`)
	expect(t, "job_id,\"a\n12,b\n", p,
		`end list line 1: column 10: extraneous or missing " in quoted-field (a record must be on one line)`)
	expect(t, "job_id,"+strings.Repeat("a", 257)+"\n", p,
		`end list line 1: the name of column "`+strings.Repeat("a", 40)+`" is longer than 256 bytes`)
	many := "job_id"
	for i := range 17 {
		many += fmt.Sprintf(",c%d", i)
	}
	expect(t, many+"\n", p, "end list line 1: there are 17 columns besides the ids, more than 16")
}

func TestCSVRecordIsBad(t *testing.T) {
	expect(t, "job_id,a\n10\n11,x,y\n12,x \"y\"\n,x\n13,x\n", Options{Project: "p"},
		"bad list line 2: the number of values is 1, that of columns 2",
		"bad list line 3: the number of values is 3, that of columns 2",
		`bad list line 4: column 6: bare " in non-quoted-field`,
		"bad list line 5: there is no job_id",
		"p/13 [a:x]")
}

// A stray quote must neither swallow the jobs after it nor let the text of a
// value pass for a job.
func TestCSVRecordOverSeveralLinesEndsTheList(t *testing.T) {
	for _, text := range []string{"12,\"x\n13,y\n", "12,\"x\n13,y\"\n14,z\n", "12,\"x\" y\n13,z\n"} {
		got := outcome(strings.NewReader("job_id,a\n11,x\n"+text), Options{Name: "list", Project: "p"})
		if len(got) != 2 || got[0] != "p/11 [a:x]" || !strings.HasPrefix(got[1], "end list line 3: column ") {
			t.Errorf("%q gives %q", text, got)
		}
	}
}

func TestCSVComments(t *testing.T) {
	expect(t, "job_id,a\n#12,x\n13,#y\n", Options{Project: "p"}, "p/13 [a:#y]")
	expect(t, "a,job_id\n#x,12\n\"#y\",13\n", Options{Project: "p"},
		"bad list line 2: begins with #, a comment or a value: quote the value, or take the line out",
		"p/13 [a:#y]")
}

func TestCSVReaderServesLineAfterLine(t *testing.T) {
	c, err := newCSV("job_id,a", ',')
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		// What a bad line leaves behind must not leak into the next one.
		if _, err := c.parse(`1,a"b` + strings.Repeat("x", 5000)); err == nil {
			t.Fatal("a bad line passed")
		}
		want := fmt.Sprint(i)
		if rec, err := c.parse(want + "," + strings.Repeat("y", i)); err != nil || rec.job != want {
			t.Fatalf("line %d: %+v, %v", i, rec, err)
		}
	}
}

// Lists that were put together have the header again in the middle. Another one
// than the first would make values of one column ids of jobs.
func TestCSVHeaderInTheMiddle(t *testing.T) {
	const again = "bad list line 3: names columns, not a job"
	p := Options{Project: "p"}
	expect(t, "job_id,team\n12,a\njob_id,team\n13,b\n", p, "p/12 [team:a]", again, "p/13 [team:b]")
	expect(t, "job_id,team\n12,a\n\ufeffJob_ID , Team\n13,b\n", p, "p/12 [team:a]", again, "p/13 [team:b]")
	expect(t, "job_id\n12\njob_id\n13\n", p, "p/12", again, "p/13")
	const other = "end list line 3: is the header of a list with other columns: read the two lists one by one"
	expect(t, "job_id,team\n12,a\nteam,job_id\nb,13\n", p, "p/12 [team:a]", other)
	expect(t, "job_id,team\n12,a\njob_id\n13\n", p, "p/12 [team:a]", other)
	expect(t, "job_id,name\n12,a\nproject_id,name\np2,b\n", p, "p/12 [name:a]", other)
	expect(t, "job_id,name\n12,a\nid,name\n13,b\n", p, "p/12 [name:a]", other)
	expect(t, "job_id,team\n12,a\nid\n13\n", p, "p/12 [team:a]", other)
	// Names of ids are those of another header wherever they stand, however they are spelt.
	const first = "tensorboard_id,job_id\n5,2100\n"
	for _, header := range []string{
		"Job ID,tensorboard_id", "jobid,tensorboard_id", "id,tensorboard_id", "id,count", "JobID,metric1", "\"job-id\",metric1", "ids,metric1", "jobid,5",
		"tensorboard_id,run", "run,tensorboard_id", "id", "Job IDs,a,b", "user_id,count",
	} {
		expect(t, first+header+"\n2101,6\n", p, "p/2100 [tensorboard_id:5]", other)
	}
	expect(t, first+"TENSORBOARD_ID, Job_ID\n6,2101\n", p, "p/2100 [tensorboard_id:5]", again, "p/2101 [tensorboard_id:6]")
	// A record with the id of a job is none, though one of its values is such a word.
	expect(t, "job_id,kind,team\n12,job,team\n6b6f6e6e-7465-4e00-8000-000000000001,Jobs,id\nmy-job,status,x\n", p,
		"p/12 [kind:job team:team]", "p/6b6f6e6e-7465-4e00-8000-000000000001 [kind:Jobs team:id]", "p/my-job [kind:status team:x]")
	expect(t, "job_id,kind\n,job\nnull,job\n1000,job\ntb-1,job\nboard,job\n", p,
		"bad list line 2: there is no job_id", `bad list line 3: the job id is "null", which programs write for a value that is missing`,
		"p/1000 [kind:job]", "p/tb-1 [kind:job]", "p/board [kind:job]")
	expect(t, "job_id,running\nabc-1,running\n", p, "p/abc-1 [running:running]")
	expect(t, ",job_id\n0,12\n\" \",my-job\n", p, "p/12", "p/my-job") // a column without a name
	expect(t, "job_id\n12\n id \n13\n", p, "p/12", again, "p/13")
	expect(t, "job_id\n12\nproject_id\np2\n", p, "p/12", `end list line 3: "project_id" is the name of a column, but not of job ids: `+oneIDALine)
}

// Lists that were put together have the line of the separator again, too.
func TestSeparatorInTheMiddle(t *testing.T) {
	const again = ": names columns, not a job"
	p := Options{Project: "p"}
	for _, line := range []string{"sep=;", "SEP=;", `"sep=;"`, "\ufeffsep=;"} {
		expect(t, "sep=;\njob_id;team\n12;a\n"+line+"\njob_id;team\n13;b\n", p,
			"p/12 [team:a]", "bad list line 4"+again, "bad list line 5"+again, "p/13 [team:b]")
	}
	expect(t, "job_id;team\n12;a\nsep=;\njob_id;team\n13;b\n", p, "p/12 [team:a]", "bad list line 3"+again, "bad list line 4"+again, "p/13 [team:b]")
	expect(t, "sep=,\njob_id\n12\nsep=,\njob_id\n13\n", p, "p/12", "bad list line 4"+again, "bad list line 5"+again, "p/13")
	expect(t, "job_id,team\n12,a\nsep=;\nteam;job_id\nb;13\n", p, "p/12 [team:a]",
		"end list line 3: names another separator than that of the list before it: read the two lists one by one")
	expect(t, "12\nsep=;\njob_id\n13\n", p, "p/12", "bad list line 2"+again, "bad list line 3"+again, "p/13")
	expect(t, "team,job_id\nsep=;,12\n", p, "p/12 [team:sep=;]")
}

// A line with the name of a column is no job.
func TestIDsWithAHeader(t *testing.T) {
	for _, name := range []string{"id", "ID", "jobid", "JobId", `"id"`, "job-id", "job id", "id # of the job", "ids", "job_ids", "Job IDs", "job", "jobs"} {
		expect(t, name+"\n12\n\ufeff"+name+"\n13\n", Options{Project: "p"},
			"bad list line 1: names columns, not a job", "p/12", "bad list line 3: names columns, not a job", "p/13")
	}
	expect(t, "12\njob_id\n13\n", Options{Project: "p", Format: "ids"}, "p/12", "bad list line 2: names columns, not a job", "p/13")
}

// What follows the name of another column are no ids of jobs, however much they look like it.
func TestIDsUnderAnotherColumn(t *testing.T) {
	const what = " is the name of a column, but not of job ids: one job id a line is expected, or a CSV with a column job_id"
	for _, name := range []string{
		"project_id", "Project", "job_name", "name", "status", "state",
		"workspace_id", "user_id", "train_id", "Train ID", "USER-ID", "tensor_board_id", "stop_id", "request id", // ids of something else
		"batch", "polls", "in flight", "asked for at", "last_status", // columns of enqueue's own lists
	} {
		for _, format := range []string{"auto", "ids"} {
			expect(t, name+"\n12\n", Options{Format: format, Project: "p"}, fmt.Sprintf("end list line 1: %q", name)+what)
		}
		expect(t, "12\n\ufeff\""+name+"\" # x\n13\n", Options{Project: "p"}, "p/12", fmt.Sprintf("end list line 2: %q", name)+what)
	}
	expect(t, "status\n12\n", Options{}, `end list line 1: "status"`+what)
	for _, second := range []string{"\ufeff13\n", "\ufeff# second list\n13\n", "\ufeff\n13\n"} { // a list that begins with a mark
		expect(t, "12\n"+second, Options{Project: "p"}, "p/12", "p/13")
	}
	expect(t, "1000\nworkspace_id\n5\n", Options{Project: "p"}, "p/1000", `end list line 2: "workspace_id"`+what)
	expect(t, "job_id\n1000\nbatch\n5\n", Options{Project: "p"}, "p/1000", `end list line 3: "batch"`+what)
	expect(t, "job_id,a\n1000,x\nuser_id,a\n5,x\n", Options{Project: "p"}, "p/1000 [a:x]",
		"end list line 3: is the header of a list with other columns: read the two lists one by one")
	// Jobs' names may be given as ids.
	expect(t, "status-1\nname2\nuser_id2\nface-2_id\nmy_job\npyramid\nbatch-a\nid_card\ngrid\n", Options{Project: "p"},
		"p/status-1", "p/name2", "p/user_id2", "p/face-2_id", "p/my_job", "p/pyramid", "p/batch-a", "p/id_card", "p/grid")
}

// Several ids in a line are none, wherever they stand. They are no header either.
func TestSeveralIDsInALine(t *testing.T) {
	p := Options{Project: "p"}
	const several = "holds several values" + oneID
	for _, line := range []string{"1000;1001;1002", "1000,1001", "1000;", "1000, 1001 # a", "ab12cd;34ef"} {
		expect(t, line+"\n12\n", p, "end list line 1: "+several)
		expect(t, line+"\n12\n", Options{Format: "ids", Project: "p"}, "bad list line 1: "+several, "p/12")
		expect(t, "12\n"+line+"\n13\n", p, "p/12", "bad list line 2: "+several, "p/13")
	}
	expect(t, "12\n13\t14\n", p, "p/12", "bad list line 2: "+several)
	expect(t, "12\nid;team\n13;a\n", p, "p/12", "bad list line 2: "+several, "bad list line 3: "+several)
	expect(t, "12 # a; b\n", p, "p/12")
}
