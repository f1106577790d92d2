import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.apache.catalina.valves.RemoteIpValve;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;
import org.springframework.web.context.support.StaticWebApplicationContext;
import org.springframework.web.filter.ForwardedHeaderFilter;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.ModelAndView;
import org.springframework.web.servlet.mvc.Controller;

/** Spring MVC in Tomcat, with what Spring Boot installs for server.forward-headers-strategy: native, framework, none. */
public class App {
    public static void main(String[] args) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(args[2]);
        tomcat.setPort(Integer.parseInt(args[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        Context context = tomcat.addContext("", args[2]);
        if (args[1].equals("native")) context.getParent().getPipeline().addValve(valve());
        if (args[1].equals("framework")) addFilter(context);
        StaticWebApplicationContext pages = new StaticWebApplicationContext();
        pages.registerSingleton("/who", Who.class);
        pages.registerSingleton("/old", Old.class);
        pages.registerSingleton("/path", Path.class);
        pages.registerSingleton("/upload", Upload.class);
        Tomcat.addServlet(context, "pages", new DispatcherServlet(pages));
        context.addServletMappingDecoded("/", "pages");
        tomcat.start();
        tomcat.getServer().await();
    }

    /** As in TomcatWebServerFactoryCustomizer of Spring Boot. */
    static RemoteIpValve valve() {
        RemoteIpValve valve = new RemoteIpValve();
        valve.setProtocolHeader("X-Forwarded-Proto");
        valve.setHostHeader("X-Forwarded-Host");
        valve.setPortHeader("X-Forwarded-Port");
        return valve;
    }

    static void addFilter(Context context) {
        FilterDef definition = new FilterDef();
        definition.setFilterName("forwarded");
        definition.setFilter(new ForwardedHeaderFilter());
        context.addFilterDef(definition);
        FilterMap map = new FilterMap();
        map.setFilterName("forwarded");
        map.addURLPattern("/*");
        context.addFilterMap(map);
    }

    // Not by ServletUriComponentsBuilder: until Spring 5.1 that believes X-Forwarded-* by itself.
    public static class Who implements Controller {
        public ModelAndView handleRequest(HttpServletRequest request, HttpServletResponse response) throws Exception {
            request.getSession();
            String url = request.getRequestURL().toString();
            response.getWriter().print("{\"url\":\"" + url + "\",\"address\":\"" + request.getRemoteAddr() + "\"}");
            return null;
        }
    }

    public static class Old implements Controller {
        public ModelAndView handleRequest(HttpServletRequest request, HttpServletResponse response) throws Exception {
            response.sendRedirect(request.getRequestURL().toString().replaceFirst("/old$", "/new"));
            return null;
        }
    }

    public static class Path implements Controller {
        public ModelAndView handleRequest(HttpServletRequest request, HttpServletResponse response) throws Exception {
            response.sendRedirect("/new");
            return null;
        }
    }

    public static class Upload implements Controller {
        public ModelAndView handleRequest(HttpServletRequest request, HttpServletResponse response) throws Exception {
            response.getWriter().print(request.getInputStream().readAllBytes().length);
            return null;
        }
    }
}
