import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Arrays;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Asks for jobs to be stopped through the HTTP API of the console, and waits for the end. Java 17, without any library.
 *
 * <pre>VIZSTOP_URL=http://127.0.0.1:9465 VIZSTOP_TOKEN=... java Stop.java PROJECT BATCH JOB...</pre>
 *
 * The same command with the same batch completes it and doubles nothing.
 */
public class Stop {
    private static final Pattern BAD = Pattern.compile("\"(rejected|expired|canceled|not_found)\":[1-9]");
    private static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    public static void main(String[] args) throws Exception {
        String project = args[0];
        String path = "/v1/batches/" + args[1];
        String list = "job_id\n" + Arrays.stream(args).skip(2).collect(Collectors.joining("\n")) + "\n";

        System.out.println(send(request(path + "?project_id=" + project)
                .header("Content-Type", "text/csv").PUT(BodyPublishers.ofString(list)).build()));
        String status;
        do {
            status = send(request(path + "?wait=30").build());
        } while (status.contains("\"ended\":null"));
        System.out.println(status);
        if (BAD.matcher(status).find()) {
            System.err.println("some jobs may still run");
            System.exit(2);
        }
    }

    private static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(System.getenv("VIZSTOP_URL") + path))
                .timeout(Duration.ofMinutes(2)).header("Authorization", "Bearer " + System.getenv("VIZSTOP_TOKEN"));
    }

    /** Sends a request, again when it is to be tried later, and returns the answer. */
    private static String send(HttpRequest request) throws Exception {
        for (int attempt = 1;; attempt++) {
            HttpResponse<String> response = CLIENT.send(request, BodyHandlers.ofString());
            int status = response.statusCode();
            if (status < 300) {
                return response.body();
            }
            if (status != 429 && status != 503 || attempt == 5) {
                throw new IllegalStateException(response.body());
            }
            Thread.sleep(1000 * Long.parseLong(response.headers().firstValue("Retry-After").orElse("1")));
        }
    }
}
